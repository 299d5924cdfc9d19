// Mirrors include/mpx/model/t5.hpp: how it lies over tensor ranks. Its parameters are counted in published.cpp.
#include <mpx/model/t5.hpp>

#include <algorithm>
#include <array>
#include <cstddef>

#include <mpx_test.hpp>

#include "support/shards.hpp"

namespace {

using enum mpx::spread;
template <std::size_t N>
using shards = std::array<test::shard, N>;
using parts = mpx::detail::t5_parts<mpx::vocabulary<16>, mpx::width<16>, mpx::heads<4>, mpx::head_width<6>>;
template <class Positions>
using encoder = mpx::t5_encoder_block<16, 4, 6, 24, Positions>;
template <class Positions>
using decoder = mpx::t5_decoder_block<16, 4, 6, 24, Positions>;
using owned = mpx::relative_bias<>;

}  // namespace

// The bias by distance has a column for each head; who shares another layer's has the same heads.
static_assert(test::shards_of<encoder<owned>> == shards<5>{{{"attention.qkv.weight", sharded_0, 3},
                                                            {"attention.out.weight", sharded_1},
                                                            {"attention.relative.weight", sharded_1},
                                                            {"mlp.up.weight", sharded_0},
                                                            {"mlp.down.weight", sharded_1}}});
static_assert(test::shards_of<encoder<parts::encoder_bias>> == test::shards_of<encoder<owned>>);
static_assert(test::shards_of<decoder<owned>> == shards<8>{{{"attention.qkv.weight", sharded_0, 3},
                                                            {"attention.out.weight", sharded_1},
                                                            {"attention.relative.weight", sharded_1},
                                                            {"cross_attention.query.weight", sharded_0},
                                                            {"cross_attention.key_value.weight", sharded_0, 2},
                                                            {"cross_attention.out.weight", sharded_1},
                                                            {"mlp.up.weight", sharded_0},
                                                            {"mlp.down.weight", sharded_1}}});
static_assert(test::shards_of<decoder<parts::decoder_bias>> == test::shards_of<decoder<owned>>);

// One table for sources, targets and logits: divided in the same way wherever it is copied to.
static_assert(mpx::layout_of<parts::table> == mpx::layout_of<parts::same_table>);
static_assert(mpx::layout_of<parts::table>.tensor == sharded_0);
static_assert(test::shards_of<mpx::t5_norm<16, mpx::axis::source>> == shards<0>{});

TEST_CASE("a rank has the bias of its own heads, at each distance", "[model][t5]") {
  // 32 buckets of 4 heads: the second of two ranks has heads 2 and 3 of each bucket.
  constexpr auto& all = mpx::parameters_of<encoder<owned>, 2>;
  auto const named = [](auto const& p) { return p.label == "attention.relative.weight"; };
  auto const& bias = *std::find_if(all.begin(), all.end(), named);
  CHECK(bias.count == 32 * 2);
  CHECK(bias.whole_index(0, 1) == 2);
  CHECK(bias.whole_index(1, 1) == 3);
  CHECK(bias.whole_index(2, 1) == 4 + 2);
  CHECK(bias.whole_index(63, 0) == 31 * 4 + 1);
}
