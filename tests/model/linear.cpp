// Mirrors include/mpx/model/linear.hpp: what a dense layer holds, computes and sums on each of two tensor ranks.
#include <mpx/model/linear.hpp>

#include <array>

#include <mpx/model/footprint.hpp>

#include <mpx_test.hpp>

#include "support/shards.hpp"

namespace {

using enum mpx::spread;
template <std::size_t N>
using shards = std::array<test::shard, N>;
template <class Split, class Bias = mpx::biased>
using dense = mpx::linear<8, 12, mpx::axis::target, mpx::init::zeros, Bias, Split>;
using whole = dense<mpx::whole>;
using outputs = dense<mpx::split_outputs<>>;
using inputs = dense<mpx::split_inputs>;
using head = mpx::language_head<8, 64>;
using table = mpx::parameter<"weight", mpx::shape<64, 8>, mpx::init::zeros>;
using whole_head = mpx::language_head<8, 64, table, false, mpx::whole>;

// 2 sequences of 4 tokens: 8 rows, of 32 bytes for each 8 values.
constexpr mpx::extents two{2, {0, 4}, 2}, one{2, {0, 4}, 1};
constexpr mpx::element_sizes f32{};

struct numbers {
  std::size_t saved, forward_sums, backward_sums;
  double flops;
  friend constexpr bool operator==(numbers const&, numbers const&) = default;
};
template <class L>
constexpr numbers of(mpx::extents const& e) {
  using count = mpx::footprint<L>;
  return {count::saved(e, f32), count::forward_sums(e, f32), count::backward_sums(e, f32), count::flops(e)};
}

}  // namespace

static_assert(test::shards_of<whole> == shards<0>{});
static_assert(test::shards_of<outputs> == shards<2>{{{"weight", sharded_0}, {"bias", sharded_0}}});
static_assert(test::shards_of<dense<mpx::split_outputs<2>>> ==
              shards<2>{{{"weight", sharded_0, 2}, {"bias", sharded_0, 2}}});
static_assert(test::shards_of<inputs> == shards<1>{{{"weight", sharded_1}}});
static_assert(test::shards_of<dense<mpx::split_outputs<>, mpx::unbiased>> == shards<1>{{{"weight", sharded_0}}});
static_assert(test::shards_of<head> == shards<1>{{{"weight", sharded_0}}});
static_assert(test::shards_of<whole_head> == shards<0>{});

TEST_CASE("split outputs sum the input's gradient, split inputs the output", "[model][linear]") {
  double const all = 2.0 * 8 * 8 * 12;
  CHECK(of<whole>(two) == numbers{8 * 32, 0, 0, all});
  CHECK(of<outputs>(two) == numbers{8 * 32, 0, 8 * 8 * 4, all / 2});
  CHECK(of<inputs>(two) == numbers{8 * 16, 8 * 12 * 4, 0, all / 2});
  for (auto const& alone : {of<whole>(one), of<outputs>(one), of<inputs>(one)})
    CHECK(alone == numbers{8 * 32, 0, 0, all});
}

TEST_CASE("a head computes its slice of the logits, or all of them", "[model][linear]") {
  double const all = 2.0 * 8 * 8 * 64;
  CHECK(of<head>(two) == numbers{8 * 32, 0, 8 * 8 * 4, all / 2});
  CHECK(of<whole_head>(two) == numbers{8 * 32, 0, 0, all});
  CHECK(of<head>(one) == of<whole_head>(one));
}
