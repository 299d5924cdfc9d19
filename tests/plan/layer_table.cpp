// Mirrors include/mpx/plan/layer_table.hpp and segments.hpp, and names and first values of parameter_table.hpp.
#include <mpx/plan/layer_table.hpp>

#include <string>
#include <string_view>
#include <vector>

#include <models.hpp>
#include <mpx_test.hpp>

namespace {

using recipe = mpx::recipe<mpx::microbatch_capacity<mpx::sequences<2>, mpx::source_tokens<8>, mpx::target_tokens<8>>>;

constexpr auto& gpt2 = mpx::layers_v<test::small_gpt2, recipe>;
constexpr auto& seq2seq = mpx::layers_v<test::small_seq2seq, recipe>;

template <class Layers>
std::vector<std::string> names(Layers const& layers) {
  std::vector<std::string> out;
  for (auto const& layer : layers) out.push_back(layer.name.text());
  return out;
}
using text = std::vector<std::string>;

// The same layer several times, under one path and under several.
using square = mpx::linear<8, 8>;
using repeated = mpx::sequential<mpx::token_embedding<8, 8, "inputs">, square, mpx::layer_norm<8>, square,
                                 mpx::section<"top", square, mpx::repeat<2, square>>, mpx::cross_entropy<8, mpx::spread::invariant>>;

struct unnamed : mpx::layer_defaults {
  using takes = mpx::message<mpx::stream<"x", 8>>;
  using gives = takes;
  static constexpr bool in_place = true;
};

}  // namespace

static_assert(gpt2.size() == 6 && seq2seq.size() == 10);

// Width 32, vocabulary 61, 16 positions: a table and positions; two norms, qkv, out, up, down; a norm. The head is tied.
static_assert(gpt2[0].parameters == 61 * 32 + 16 * 32);
static_assert(gpt2[1].parameters == 2 * 64 + (96 * 32 + 96) + (32 * 32 + 32) + (128 * 32 + 128) + (32 * 128 + 32));
static_assert(gpt2[3].parameters == 64 && gpt2[4].parameters == 0 && gpt2[5].parameters == 0);
static_assert(gpt2[4].parameter_elements == 61 * 32);  // memory holds a copy

// Equal layers are rows of one segment.
static_assert(gpt2[1].segment == gpt2[2].segment && gpt2[1].copy == 0 && gpt2[2].copy == 1);
static_assert(gpt2[0].segment != gpt2[1].segment && gpt2[2].segment != gpt2[3].segment);

static_assert(gpt2[0].most_tokens == 16);
static_assert(gpt2[4].forward_flops == 2.0 * 16 * 32 * 61);
static_assert(!gpt2[0].takes.exists() && gpt2[1].takes.width == 32 && gpt2[5].takes.width == 61 && !gpt2[5].gives.exists());
static_assert(seq2seq[3].gives == mpx::stream_info{"memory", 32, mpx::axis::source});
static_assert(seq2seq[5].reads[0] == seq2seq[3].gives && !seq2seq[5].reads[1].exists());

static_assert(mpx::find_layer(seq2seq, "decoder.layers.1") == 6);
static_assert(mpx::find_layer(seq2seq, "decoder.layers") == 10 && mpx::find_layer(seq2seq, "") == 10);

TEST_CASE("layers are named by their sections, and numbered where several share a name", "[plan][layer_table]") {
  CHECK(names(gpt2) == text{"embedding", "layers.0", "layers.1", "norm", "head", "loss"});
  CHECK(names(seq2seq) == text{"encoder.embedding", "encoder.layers.0", "encoder.layers.1", "encoder.norm",
                               "decoder.embedding", "decoder.layers.0", "decoder.layers.1", "decoder.norm", "decoder.head",
                               "decoder.loss"});
  CHECK(names(mpx::layers_v<repeated, recipe>) == text{"embedding", "linear.0", "norm", "linear.1", "top.linear.0",
                                                       "top.linear.1", "top.linear.2", "loss"});
  CHECK(names(mpx::layers_v<mpx::sequential<unnamed>, recipe>) == text{"layer"});
}

TEST_CASE("parameters are named within their layer, and stand one after the other", "[plan][layer_table]") {
  using block = mpx::transformer_block<mpx::width<32>, mpx::heads<4>>;
  std::size_t next = 0, sum = 0;
  for (auto const& p : mpx::parameters_of<block>) {
    CHECK(p.offset == next);
    next += mpx::padded_elements(p.count);
    sum += p.count;
  }
  CHECK(sum == gpt2[1].parameters);
  auto const& list = mpx::parameters_of<block>;
  REQUIRE(list.size() == 12);
  CHECK(list[0].label == "attention.norm.weight");
  CHECK(list[2].label == "attention.qkv.weight");
  CHECK(list[5].label == "attention.out.bias");
  CHECK(list[6].label == "mlp.norm.weight");
  CHECK(list[8].label == "mlp.up.weight");
  CHECK(list[11].label == "mlp.down.bias");
  CHECK(list[2].shape == std::array<std::size_t, 4>{96, 32, 0, 0});
  CHECK(list[2].rank == 2);
  CHECK(list[0].mean == 1.0f);
  CHECK(list[2].deviation == Approx(0.02));
}

TEST_CASE("first values have the variance that their formula gives", "[plan][layer_table]") {
  auto const& list = mpx::parameters_of<mpx::linear<24, 8>>;
  CHECK(list[0].uniform);
  CHECK(list[0].deviation == Approx(0.25));  // sqrt(2 / (24 + 8))
  CHECK(list[1].deviation == 0.0f);
  // GPT-2 divides the variance of what is added to the residual stream by two for each of its two layers.
  auto const& block = mpx::parameters_of<mpx::detail::gpt2_parts<mpx::vocabulary<61>, mpx::width<32>, mpx::heads<4>, mpx::layers<2>>::block>;
  CHECK(block[4].label == "attention.out.weight");
  CHECK(block[4].deviation == Approx(0.01));
}
