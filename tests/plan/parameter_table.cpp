// Mirrors include/mpx/plan/parameter_table.hpp: what tensor ranks hold. Names and first values are in layer_table.cpp.
#include <mpx/plan/parameter_table.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <mpx/model/attention.hpp>
#include <mpx/model/transformer_block.hpp>

#include <mpx_test.hpp>

namespace {

using enum mpx::spread;

/// A parameter of this shape, of which each of so many ranks holds an equal part where it is sharded.
constexpr mpx::parameter_info described(std::vector<std::size_t> const& shape, mpx::spread over, std::size_t parts,
                                        std::size_t ranks) {
  mpx::parameter_info p;
  p.rank = shape.size();
  std::copy(shape.begin(), shape.end(), p.shape.begin());
  p.over_tensor = over;
  p.parts = parts;
  p.count = mpx::sharded(over) ? p.size() / ranks : p.size();
  return p;
}

std::vector<std::size_t> places(mpx::parameter_info const& p, std::size_t rank) {
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < p.count; ++i) out.push_back(p.whole_index(i, rank));
  return out;
}
using indices = std::vector<std::size_t>;

/// Elements whose index in the sharded dimension lies in the rank's share of one of the parts, in the whole's order.
indices owned(std::vector<std::size_t> const& shape, std::size_t dimension, std::size_t parts, std::size_t ranks,
              std::size_t rank) {
  std::size_t size = 1, inner = 1;
  for (std::size_t d = 0; d < shape.size(); ++d) size *= shape[d];
  for (std::size_t d = dimension + 1; d < shape.size(); ++d) inner *= shape[d];
  std::size_t const part = shape[dimension] / parts;
  indices out;
  for (std::size_t i = 0; i < size; ++i) {
    std::size_t const within = i / inner % shape[dimension] % part;
    if (within * ranks / part == rank) out.push_back(i);
  }
  return out;
}

using block = mpx::transformer_block<mpx::width<32>, mpx::heads<4>>;
using attention = mpx::self_attention<8, 4, true>;  // heads of two columns
constexpr auto& half = mpx::parameters_of<attention, 2>;

}  // namespace

// Each rank has two of the four heads: rows 0 to 3 or 4 to 7 of q, of k, which begins at row 8, and of v, at 16.
static_assert(half[0].label == "qkv.weight" && half[0].count == 12 * 8 && half[0].size() == 24 * 8);
static_assert(half[0].whole_index(0, 0) == 0 && half[0].whole_index(0, 1) == 4 * 8);
static_assert(half[0].whole_index(4 * 8, 0) == 8 * 8 && half[0].whole_index(4 * 8, 1) == (8 + 4) * 8);
static_assert(half[0].whole_index(8 * 8, 0) == 16 * 8 && half[0].whole_index(8 * 8, 1) == (16 + 4) * 8);
static_assert(half[0].whole_index(12 * 8 - 1, 1) == 24 * 8 - 1);
static_assert(half[1].label == "qkv.bias" && half[1].whole_index(4, 1) == 8 + 4);
// The output's inputs are the same heads' columns, in each row.
static_assert(half[2].label == "out.weight" && half[2].whole_index(0, 1) == 4 && half[2].whole_index(4, 1) == 8 + 4);
// Its bias is whole on both.
static_assert(half[3].label == "out.bias" && half[3].count == 8 && half[3].whole_index(5, 1) == 5);

TEST_CASE("a slice of rows, of columns and of three parts, element by element", "[plan][parameter_table]") {
  auto const rows = described({4, 2}, sharded_0, 1, 2), columns = described({2, 4}, sharded_1, 1, 2),
             three = described({6, 2}, sharded_0, 3, 2), two = described({2, 4}, sharded_1, 2, 2);
  CHECK(places(rows, 0) == indices{0, 1, 2, 3});
  CHECK(places(rows, 1) == indices{4, 5, 6, 7});
  CHECK(places(columns, 0) == indices{0, 1, 4, 5});
  CHECK(places(columns, 1) == indices{2, 3, 6, 7});
  CHECK(places(three, 0) == indices{0, 1, 4, 5, 8, 9});
  CHECK(places(three, 1) == indices{2, 3, 6, 7, 10, 11});
  CHECK(places(two, 0) == indices{0, 2, 4, 6});
  CHECK(places(two, 1) == indices{1, 3, 5, 7});
}

TEST_CASE("the slices of a parameter are the whole, each element once", "[plan][parameter_table]") {
  struct one {
    std::vector<std::size_t> shape;
    mpx::spread over;
  };
  for (auto const& [shape, over] : {one{{24}, sharded_0}, one{{24, 5}, sharded_0}, one{{5, 24}, sharded_1},
                                    one{{24, 3, 2}, sharded_0}, one{{3, 24, 2}, sharded_1}})
    for (std::size_t const parts : {1u, 2u, 3u})
      for (std::size_t const ranks : {1u, 2u, 4u}) {
        auto const p = described(shape, over, parts, ranks);
        std::size_t const dimension = over == sharded_0 ? 0 : 1;
        INFO("dimension " << dimension << " of " << shape.size() << ", " << parts << " parts, " << ranks << " ranks");
        std::vector<int> times(p.size(), 0);
        for (std::size_t r = 0; r < ranks; ++r) {
          auto const mine = places(p, r);
          CHECK(mine == owned(shape, dimension, parts, ranks, r));
          for (std::size_t const i : mine) ++times[i];
        }
        CHECK(times == std::vector<int>(p.size(), 1));
      }
}

TEST_CASE("what is not sharded is whole on every rank", "[plan][parameter_table]") {
  auto const p = described({3, 2}, invariant, 1, 4);
  for (std::size_t const rank : {0u, 3u}) CHECK(places(p, rank) == indices{0, 1, 2, 3, 4, 5});
}

TEST_CASE("tensor ranks hold shares of a block's parameters, one after the other", "[plan][parameter_table]") {
  auto const check = [](auto const& list, std::size_t ranks, std::vector<std::size_t> const& counts) {
    auto const& whole = mpx::parameters_of<block>;
    std::size_t next = 0;
    for (std::size_t i = 0; i < list.size(); ++i) {
      INFO(list[i].label << " on " << ranks);
      CHECK(list[i].label == whole[i].label);
      CHECK(list[i].shape == whole[i].shape);
      CHECK(list[i].size() == whole[i].count);
      CHECK(list[i].count == counts[i]);
      CHECK(list[i].offset == next);
      next += mpx::padded_elements(counts[i]);
    }
    CHECK(next == mpx::footprint<block>::parameters_on(ranks));
  };
  // norm, qkv, out, norm, up, down: each a weight and a bias. Biases of outputs that are summed are whole.
  check(mpx::parameters_of<block, 2>, 2, {32, 32, 1536, 48, 512, 32, 32, 32, 2048, 64, 2048, 32});
  check(mpx::parameters_of<block, 4>, 4, {32, 32, 768, 24, 256, 32, 32, 32, 1024, 32, 1024, 32});
}
