// Mirrors include/mpx/model/gpt2.hpp and seq2seq.hpp: as many parameters as their authors publish, or as one counts.
#include <mpx/model/gpt2.hpp>

#include <mpx/model/seq2seq.hpp>
#include <mpx/plan/layer_table.hpp>

#include <mpx_test.hpp>

#include "support/shards.hpp"

namespace {

using recipe = mpx::recipe<mpx::microbatch_capacity<mpx::sequences<1>, mpx::source_tokens<8>, mpx::tokens<8>>>;

template <class Model>
constexpr std::size_t parameters = [] {
  std::size_t sum = 0;
  for (auto const& layer : mpx::layers_v<Model, recipe>) sum += layer.parameters;
  return sum;
}();

template <std::size_t Width, std::size_t Heads, std::size_t Layers, class... More>
using openai = mpx::gpt2<mpx::vocabulary<50257>, mpx::width<Width>, mpx::heads<Heads>, mpx::layers<Layers>, mpx::context<1024>, More...>;

// "Attention is all you need", base: 6 + 6 layers of width 512, here with vocabularies of 37000.
using base = mpx::seq2seq<mpx::source_vocabulary<37000>, mpx::target_vocabulary<37000>, mpx::width<512>, mpx::heads<8>,
                          mpx::feed_forward<2048>>;
constexpr std::size_t attention = 4 * 512 * 512 + 4 * 512, feed_forward = 2 * 512 * 2048 + 2048 + 512, norm = 2 * 512;

}  // namespace

// The four sizes of GPT-2, as their checkpoints hold them.
static_assert(parameters<openai<768, 12, 12>> == 124'439'808);
static_assert(parameters<openai<1024, 16, 24>> == 354'823'168);
static_assert(parameters<openai<1280, 20, 36>> == 774'030'080);
static_assert(parameters<openai<1600, 25, 48>> == 1'557'611'200);
// A head of its own: another table of tokens.
static_assert(parameters<openai<768, 12, 12, mpx::untied>> == 124'439'808 + 50257 * 768);

// Tables and head; six encoder layers and their norm; six decoder layers, with two attentions each, and their norm.
static_assert(parameters<base> == 3 * 37000 * 512 + 6 * (attention + feed_forward + 2 * norm) + norm +
                                      6 * (2 * attention + feed_forward + 3 * norm) + norm);

// Over tensor ranks tables are divided by rows of the vocabulary, learned positions are not; a tied head's table lies
// as its owner does, and logits stand as slices of the vocabulary.
namespace {

using enum mpx::spread;
template <std::size_t N>
using shards = std::array<test::shard, N>;
using small = mpx::detail::gpt2_parts<mpx::vocabulary<64>, mpx::width<32>, mpx::heads<4>>;
using base_parts = mpx::detail::seq2seq_parts<mpx::source_vocabulary<12>, mpx::target_vocabulary<16>, mpx::width<32>>;
template <class Message>
constexpr mpx::spread over = mpx::only_stream_t<Message>::over_tensor;

}  // namespace

static_assert(test::shards_of<mpx::learned_embedding<64, 32, 16>> == shards<1>{{{"token.weight", sharded_0}}});
static_assert(test::shards_of<small::head> == shards<1>{{{"weight", sharded_0}}});
static_assert(test::shards_of<base_parts::head> == test::shards_of<small::head>);
static_assert(test::shards_of<mpx::sinusoidal_embedding<12, 32, 16, "source", mpx::axis::source>> ==
              shards<1>{{{"token.weight", sharded_0}}});
static_assert(test::shards_of<mpx::layer_norm<32>> == shards<0>{});
static_assert(over<mpx::learned_embedding<64, 32, 16>::gives> == invariant);
static_assert(over<small::head::takes> == invariant && over<small::head::gives> == sharded_1);
static_assert(over<mpx::cross_entropy<64>::takes> == sharded_1);

TEST_CASE("a norm after each sum takes as many parameters as one before each layer", "[model][gpt2]") {
  CHECK(parameters<openai<768, 12, 12, mpx::post_norm>> == parameters<openai<768, 12, 12>>);
  CHECK(openai<768, 12, 12>::width == 768);
  CHECK(openai<768, 12, 12>::context == 1024);
  CHECK(base::context == 512);
}
