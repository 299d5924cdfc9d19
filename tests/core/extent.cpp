// Mirrors include/mpx/core/extent.hpp.
#include <mpx/core/extent.hpp>

#include <mpx_test.hpp>

namespace {

// 3 sequences of 5 source and 7 target tokens.
constexpr mpx::extents size{3, {5, 7}};
constexpr mpx::element_sizes bf16_sizes{.compute = 2, .accumulate = 4};

}  // namespace

static_assert(size.tokens_on(mpx::axis::source) == 5 && size.tokens_on(mpx::axis::target) == 7);
static_assert(size.rows(mpx::axis::source) == 15 && size.rows(mpx::axis::target) == 21);
static_assert(bf16_sizes.of(mpx::element::compute) == 2 && bf16_sizes.of(mpx::element::accumulate) == 4);
static_assert(bf16_sizes.of(mpx::element::i32) == 4);

// 15 rows of 8 bf16 are 240 bytes, four cache lines; 21 rows of one f32 are 84 bytes, two.
static_assert(mpx::tensor_extent{mpx::axis::source, 8}.bytes(size, bf16_sizes) == 256);
static_assert(mpx::tensor_extent{mpx::axis::target, 1, mpx::element::accumulate}.bytes(size, bf16_sizes) == 128);
// One i32 for each of 3 sequences.
static_assert(mpx::tensor_extent{mpx::axis::target, 1, mpx::element::i32, mpx::per::sequence}.bytes(size, bf16_sizes) == 64);

TEST_CASE("each of several tensors begins on a cache line", "[core][extent]") {
  constexpr std::array<mpx::tensor_extent, 2> both{{{mpx::axis::source, 8}, {mpx::axis::target, 1, mpx::element::accumulate}}};
  CHECK(mpx::total_bytes(both, size, bf16_sizes) == 256 + 128);
  CHECK(mpx::total_bytes(std::array<mpx::tensor_extent, 0>{}, size, bf16_sizes) == 0);
}

// --- on tensor ranks -------------------------------------------------------------------------------------------------
namespace {

constexpr mpx::extents two{3, {5, 7}, 2}, four{3, {5, 7}, 4};
using enum mpx::spread;

}  // namespace

static_assert(size.ranks == 1);
static_assert(four.rows(mpx::axis::source) == 15);  // ranks share columns, not rows

// A slice is divided; a partial sum is as large as the whole, and exists where there is another one to add.
static_assert(two.share(12, sharded_0) == 6 && two.share(12, sharded_1) == 6 && four.share(12, sharded_1) == 3);
static_assert(two.share(12, partial) == 12 && size.share(12, partial) == 0 && size.share(12, sharded_1) == 12);
static_assert(four.share(12, invariant) == 12 && four.share(12, replicated) == 12 && four.share(12, varying) == 12);

// 15 rows of 8 bf16 are 240 bytes: half of that on two ranks, a quarter on four.
constexpr auto slice = mpx::split_columns(mpx::axis::source, 8);
static_assert(slice.over_tensor == sharded_1 && slice.type == mpx::element::compute && slice.row == mpx::per::token);
static_assert(slice.exact_bytes(size, bf16_sizes) == 240 && slice.bytes(size, bf16_sizes) == 256);
static_assert(slice.exact_bytes(two, bf16_sizes) == 120 && slice.bytes(two, bf16_sizes) == 128);
static_assert(slice.exact_bytes(four, bf16_sizes) == 60 && slice.bytes(four, bf16_sizes) == 64);
static_assert(mpx::split_columns(mpx::axis::target, 4, mpx::element::accumulate).exact_bytes(two, bf16_sizes) == 168);

// 21 rows of 8 bf16, on each rank, where there are several.
constexpr auto summed = mpx::summed_over_ranks(mpx::axis::target, 8);
static_assert(summed.over_tensor == partial && summed.exact_bytes(size, bf16_sizes) == 0);
static_assert(summed.exact_bytes(two, bf16_sizes) == 336 && summed.exact_bytes(four, bf16_sizes) == 336);
constexpr auto column = mpx::summed_over_ranks(mpx::axis::target, 1, mpx::element::accumulate);
static_assert(column.exact_bytes(two, bf16_sizes) == 84);

// Where ranks divide rows too: 15 of source, 21 of target.
namespace {

constexpr mpx::extents rows_on_two{3, {5, 7}, 2, sharded_0}, rows_on_four{3, {5, 7}, 4, sharded_0};

}  // namespace

static_assert(two.rows_of(mpx::axis::target, invariant, 1) == mpx::row_slice{0, 21});
static_assert(rows_on_two.rows_of(mpx::axis::target, invariant, 0) == mpx::row_slice{0, 10});
static_assert(rows_on_two.rows_of(mpx::axis::target, invariant, 1) == mpx::row_slice{10, 11});
static_assert(rows_on_four.rows_of(mpx::axis::source, invariant, 3) == mpx::row_slice{11, 4});
static_assert(rows_on_four.rows_of(mpx::axis::source, sharded_1, 3) == mpx::row_slice{0, 15});  // slices of columns have all rows
static_assert(rows_on_two.most_rows(mpx::axis::target, invariant) == 11 && two.most_rows(mpx::axis::target, invariant) == 21);
static_assert(rows_on_two.most_rows(mpx::axis::target, partial) == 21);
// 8 rows of 8 bf16 on the rank with most; all 15 of a slice of the columns, and of a sum before it is divided.
static_assert(mpx::tensor_extent{mpx::axis::source, 8}.exact_bytes(rows_on_two, bf16_sizes) == 8 * 8 * 2);
static_assert(slice.exact_bytes(rows_on_two, bf16_sizes) == 120);
static_assert(mpx::summed_over_ranks(mpx::axis::source, 8).exact_bytes(rows_on_two, bf16_sizes) == 15 * 8 * 2);
static_assert(mpx::as_stream(mpx::summed_over_ranks(mpx::axis::source, 8)).exact_bytes(rows_on_two, bf16_sizes) == 8 * 8 * 2);

TEST_CASE("slices of the rows follow each other and differ by one row at most", "[core][extent]") {
  for (int tokens = 0; tokens < 12; ++tokens)
    for (std::size_t ranks = 1; ranks < 6; ++ranks) {
      mpx::extents const e{2, {0, tokens}, ranks, sharded_0};
      std::size_t next = 0;
      for (std::size_t r = 0; r < ranks; ++r) {
        auto const own = e.rows_of(mpx::axis::target, invariant, r);
        CHECK(own.first == next);
        CHECK(own.count <= e.most_rows(mpx::axis::target, invariant));
        CHECK(own.count + 1 >= e.most_rows(mpx::axis::target, invariant));
        next += own.count;
      }
      CHECK(next == static_cast<std::size_t>(2 * tokens));
    }
}

TEST_CASE("a collective moves its tensors without their alignment", "[core][extent]") {
  constexpr std::array<mpx::tensor_extent, 3> list{slice, summed, mpx::tensor_extent{mpx::axis::target, 1}};
  CHECK(mpx::exact_bytes(list, two, bf16_sizes) == 120 + 336 + 42);
  CHECK(mpx::total_bytes(list, two, bf16_sizes) == 128 + 384 + 64);
  CHECK(mpx::exact_bytes(list, size, bf16_sizes) == 240 + 0 + 42);
  CHECK(mpx::exact_bytes(std::array<mpx::tensor_extent, 0>{}, two, bf16_sizes) == 0);
}
