// Mirrors include/mpx/model/transformer_block.hpp: how blocks lie over tensor ranks.
#include <mpx/model/transformer_block.hpp>

#include <array>
#include <cstddef>
#include <type_traits>

#include <mpx_test.hpp>

#include "support/shards.hpp"

namespace {

using enum mpx::spread;
template <std::size_t N>
using shards = std::array<test::shard, N>;

template <class... Options>
using decoder_only = mpx::transformer_block<mpx::width<32>, mpx::heads<4>, Options...>;
using encoder = mpx::encoder_block<mpx::width<32>, mpx::heads<4>>;
using decoder = mpx::decoder_block<mpx::width<32>, mpx::heads<4>>;

template <class Message>
constexpr mpx::spread over = mpx::only_stream_t<Message>::over_tensor;

using narrow = mpx::mlp<32, 64>;
template <std::size_t I>
using step = std::remove_cvref_t<decltype(boost::hana::at_c<I>(typename narrow::body::layers{}))>;

}  // namespace

// What goes into a block and comes out of it is the same on each rank.
static_assert(over<decoder_only<>::takes> == invariant && over<decoder_only<>::gives> == invariant);
static_assert(over<encoder::takes> == invariant && over<encoder::gives> == invariant);
static_assert(over<decoder::takes> == invariant && over<decoder::gives> == invariant);
static_assert(over<decoder::reads> == invariant);

// Within an mlp, the hidden columns are divided from up to down.
static_assert(over<narrow::takes> == invariant && over<narrow::gives> == invariant);
static_assert(over<step<0>::takes> == invariant && over<step<0>::gives> == sharded_1);
static_assert(over<step<1>::takes> == sharded_1 && over<step<1>::gives> == sharded_1);
static_assert(over<step<2>::takes> == sharded_1 && over<step<2>::gives> == sharded_1);
static_assert(over<step<3>::takes> == sharded_1 && over<step<3>::gives> == invariant);

// Column parallel, then row parallel: the biases of down and out are added behind the sum, and whole, as norms are.
static_assert(test::shards_of<decoder_only<>> == shards<6>{{{"attention.qkv.weight", sharded_0, 3},
                                                            {"attention.qkv.bias", sharded_0, 3},
                                                            {"attention.out.weight", sharded_1},
                                                            {"mlp.up.weight", sharded_0},
                                                            {"mlp.up.bias", sharded_0},
                                                            {"mlp.down.weight", sharded_1}}});
static_assert(test::shards_of<encoder> == test::shards_of<decoder_only<>>);
static_assert(test::shards_of<decoder_only<mpx::post_norm, mpx::head_width<16>>> == test::shards_of<decoder_only<>>);
static_assert(test::shards_of<decoder> == shards<11>{{{"attention.qkv.weight", sharded_0, 3},
                                                      {"attention.qkv.bias", sharded_0, 3},
                                                      {"attention.out.weight", sharded_1},
                                                      {"cross_attention.query.weight", sharded_0},
                                                      {"cross_attention.query.bias", sharded_0},
                                                      {"cross_attention.key_value.weight", sharded_0, 2},
                                                      {"cross_attention.key_value.bias", sharded_0, 2},
                                                      {"cross_attention.out.weight", sharded_1},
                                                      {"mlp.up.weight", sharded_0},
                                                      {"mlp.up.bias", sharded_0},
                                                      {"mlp.down.weight", sharded_1}}});

TEST_CASE("two ranks share what is sharded of a block, and both have the rest", "[model][transformer_block]") {
  // Norms, the bias of out and that of down are whole: 2 * 64 + 2 * 32 values.
  auto const shared = [](std::size_t ranks) {
    return mpx::footprint<decoder_only<mpx::feed_forward<64>>>::parameters_on(ranks) - (2 * 64 + 2 * 32);
  };
  CHECK(shared(1) == 3072 + 96 + 1024 + 2048 + 64 + 2048);
  CHECK(shared(2) == 1536 + 64 + 512 + 1024 + 32 + 1024);  // 48 of qkv's bias take two lines of 32
}
