// Mirrors include/mpx/model/llama.hpp: how it lies over tensor ranks. Its parameters are counted in published.cpp.
#include <mpx/model/llama.hpp>

#include <array>
#include <cstddef>
#include <type_traits>

#include <mpx_test.hpp>

#include "support/shards.hpp"

namespace {

using enum mpx::spread;
using block = mpx::llama_block<32, 4, 48>;
using gated = mpx::gated_mlp<32, 48>;
template <std::size_t I>
using step = std::remove_cvref_t<decltype(boost::hana::at_c<I>(typename gated::body::layers{}))>;
template <class Message>
using stream_of = mpx::only_stream_t<Message>;

}  // namespace

// Gates and values stand side by side, and each is divided: a rank's gates are those of its values.
static_assert(test::shards_of<block> == std::array<test::shard, 4>{{{"attention.qkv.weight", sharded_0, 3},
                                                                    {"attention.out.weight", sharded_1},
                                                                    {"mlp.gate_up.weight", sharded_0, 2},
                                                                    {"mlp.down.weight", sharded_1}}});
// Of two heads of keys and values for four, each of two ranks has one.
using grouped_block = mpx::llama_block<32, 4, 48, mpx::init::normal<20>, mpx::init::normal<20>, 2>;
static_assert(test::shards_of<grouped_block> == std::array<test::shard, 5>{{{"attention.query.weight", sharded_0},
                                                                            {"attention.key_value.weight", sharded_0, 2},
                                                                            {"attention.out.weight", sharded_1},
                                                                            {"mlp.gate_up.weight", sharded_0, 2},
                                                                            {"mlp.down.weight", sharded_1}}});
// The base of the turn, and the number of heads, reach every block.
using three = mpx::llama<mpx::vocabulary<64>, mpx::width<32>, mpx::heads<4>, mpx::key_value_heads<2>, mpx::feed_forward<64>,
                         mpx::rotary<500'000>>;
using of_three = mpx::detail::llama_parts<mpx::vocabulary<64>, mpx::width<32>, mpx::heads<4>, mpx::key_value_heads<2>,
                                          mpx::feed_forward<64>, mpx::rotary<500'000>>::block::attention;
static_assert(of_three::positions::base == 500'000 && of_three::key_value_heads == 2);
static_assert(mpx::layer<three>);
static_assert(stream_of<step<0>::gives>::over_tensor == sharded_1 && stream_of<step<0>::gives>::parts == 2);
static_assert(stream_of<step<1>::takes>::over_tensor == sharded_1 && stream_of<step<1>::takes>::parts == 2);
static_assert(stream_of<step<1>::gives>::over_tensor == sharded_1 && stream_of<step<1>::gives>::parts == 1);
static_assert(stream_of<step<2>::gives>::over_tensor == invariant);
static_assert(stream_of<block::takes>::over_tensor == invariant && stream_of<block::gives>::over_tensor == invariant);

TEST_CASE("a rank's gates and values are of the same hidden columns", "[model][llama]") {
  // 48 gates, then 48 values, of 32 inputs each: the second of two ranks has 24 to 47 of both.
  auto const& weight = mpx::parameters_of<block, 2>[4];
  REQUIRE(weight.label == "mlp.gate_up.weight");
  CHECK(weight.count == 48 * 32);
  CHECK(weight.whole_index(0, 1) == 24 * 32);
  CHECK(weight.whole_index(24 * 32, 1) == (48 + 24) * 32);
}
