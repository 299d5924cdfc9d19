// Mirrors include/mpx/model/published.hpp: as many parameters as the authors publish.
#include <mpx/model/published.hpp>

#include <mpx/plan/layer_table.hpp>

#include <mpx_test.hpp>

namespace {

using recipe = mpx::recipe<mpx::microbatch_capacity<mpx::sequences<1>, mpx::tokens<1024>>>;

template <class Model>
constexpr std::size_t parameters = [] {
  std::size_t sum = 0;
  for (auto const& layer : mpx::layers_v<Model, recipe>) sum += layer.parameters;
  return sum;
}();

/// By hand: tables of tokens and positions; per layer two norms (4 C), qkv (3 C^2 + 3 C), out (C^2 + C), up and down
/// (8 C^2 + 5 C); a last norm. The head is tied.
constexpr std::size_t gpt(std::size_t context, std::size_t layers, std::size_t c) {
  return (50257 + context) * c + layers * (12 * c * c + 13 * c) + 2 * c;
}

/// Rounded to millions, or to tenths of a billion, or to billions: as a table says it.
constexpr std::size_t in(std::size_t unit, std::size_t count) { return (count + unit / 2) / unit; }
constexpr std::size_t million = 1'000'000, billion = 1'000'000'000;

}  // namespace

// The released checkpoints of GPT-2.
static_assert(parameters<mpx::gpt2_124m> == 124'439'808);
static_assert(parameters<mpx::gpt2_355m> == 354'823'168);
static_assert(parameters<mpx::gpt2_774m> == 774'030'080);
static_assert(parameters<mpx::gpt2_1558m> == 1'557'611'200);

// GPT-3's exact counts follow from its architecture, which is GPT-2's with a context of 2048 ...
static_assert(parameters<mpx::gpt3_125m> == gpt(2048, 12, 768) && gpt(2048, 12, 768) == 125'226'240);
static_assert(parameters<mpx::gpt3_350m> == gpt(2048, 24, 1024) && gpt(2048, 24, 1024) == 355'871'744);
static_assert(parameters<mpx::gpt3_760m> == gpt(2048, 24, 1536) && gpt(2048, 24, 1536) == 760'300'032);
static_assert(parameters<mpx::gpt3_1_3b> == gpt(2048, 24, 2048) && gpt(2048, 24, 2048) == 1'315'723'264);
static_assert(parameters<mpx::gpt3_2_7b> == gpt(2048, 32, 2560) && gpt(2048, 32, 2560) == 2'651'553'280);
static_assert(parameters<mpx::gpt3_6_7b> == gpt(2048, 32, 4096) && gpt(2048, 32, 4096) == 6'658'404'352);
static_assert(parameters<mpx::gpt3_13b> == gpt(2048, 40, 5120) && gpt(2048, 40, 5120) == 12'853'386'240);
static_assert(parameters<mpx::gpt3_175b> == gpt(2048, 96, 12288) && gpt(2048, 96, 12288) == 174'604'259'328);

// ... and the paper's sizes are these, rounded; but for "350M", which is 356.
static_assert(in(million, parameters<mpx::gpt3_125m>) == 125);
static_assert(in(million, parameters<mpx::gpt3_350m>) == 356);
static_assert(in(million, parameters<mpx::gpt3_760m>) == 760);
static_assert(in(100 * million, parameters<mpx::gpt3_1_3b>) == 13);
static_assert(in(100 * million, parameters<mpx::gpt3_2_7b>) == 27);
static_assert(in(100 * million, parameters<mpx::gpt3_6_7b>) == 67);
static_assert(in(billion, parameters<mpx::gpt3_13b>) == 13);
static_assert(in(billion, parameters<mpx::gpt3_175b>) == 175);

// The width of 5140 that the paper gives 13B is not a multiple of its 40 heads, and 24 heads do not divide XL's 2048.
static_assert(5140 % 40 != 0 && 5120 == 40 * 128);
static_assert(2048 % 24 != 0 && 2048 == 16 * 128);

// LLaMA by hand: tables at both ends; per layer two norms (2 C), attention (4 C^2), gates, values and down (3 C F); a
// last norm. No biases, and no table of positions.
constexpr std::size_t llama(std::size_t layers, std::size_t c, std::size_t f) {
  return 2 * 32000 * c + layers * (4 * c * c + 3 * c * f + 2 * c) + c;
}
constexpr std::size_t two_thirds(std::size_t c) { return (8 * c / 3 + 255) / 256 * 256; }
static_assert(parameters<mpx::llama_7b> == 6'738'415'616 && llama(32, 4096, two_thirds(4096)) == 6'738'415'616);
static_assert(parameters<mpx::llama_13b> == 13'015'864'320 && llama(40, 5120, two_thirds(5120)) == 13'015'864'320);
static_assert(parameters<mpx::llama_33b> == 32'528'943'616 && llama(60, 6656, two_thirds(6656)) == 32'528'943'616);
static_assert(parameters<mpx::llama_65b> == 65'285'660'672 && llama(80, 8192, two_thirds(8192)) == 65'285'660'672);
// The paper's table says 6.7B, 13.0B, 32.5B and 65.2B; the last is 65.3, rounded down.
static_assert(in(100 * million, parameters<mpx::llama_7b>) == 67 &&
              in(100 * million, parameters<mpx::llama_13b>) == 130);
static_assert(in(100 * million, parameters<mpx::llama_33b>) == 325 &&
              parameters<mpx::llama_65b> / (100 * million) == 652);

// With KV heads of keys and values for H of queries, attention has (2 + 2 KV / H) C^2.
constexpr std::size_t grouped(std::size_t v, std::size_t layers, std::size_t c, std::size_t heads, std::size_t kv, std::size_t f) {
  return 2 * v * c + layers * (2 * c * c + 2 * c * (c / heads * kv) + 3 * c * f + 2 * c) + c;
}
static_assert(parameters<mpx::llama2_70b> == 68'976'648'192 && grouped(32000, 80, 8192, 64, 8, 28672) == 68'976'648'192);
static_assert(parameters<mpx::llama3_8b> == 8'030'261'248 && grouped(128256, 32, 4096, 32, 8, 14336) == 8'030'261'248);

// T5 by hand: one table; per layer attention (4 C H D), in decoders a second one, up and down (2 C F), and a norm for
// each (C); in each stack a bias of 32 buckets and a last norm.
constexpr std::size_t t5(std::size_t layers, std::size_t c, std::size_t h, std::size_t d, std::size_t f) {
  return 32128 * c + layers * (3 * 4 * c * h * d + 2 * 2 * c * f + 5 * c) + 2 * (32 * h + c);
}
static_assert(parameters<mpx::t5_small> == 60'506'624 && t5(6, 512, 8, 64, 2048) == 60'506'624);
static_assert(parameters<mpx::t5_base> == 222'903'552 && t5(12, 768, 12, 64, 3072) == 222'903'552);
static_assert(parameters<mpx::t5_large> == 737'668'096 && t5(24, 1024, 16, 64, 4096) == 737'668'096);
static_assert(parameters<mpx::t5_3b> == 2'851'598'336 && t5(24, 1024, 32, 128, 16384) == 2'851'598'336);
static_assert(parameters<mpx::t5_11b> == 11'307'321'344 && t5(24, 1024, 128, 128, 65536) == 11'307'321'344);
// The paper says 60 and 220 million, 770 million, 2.8 and 11 billion, in round numbers.

TEST_CASE("published models know the tokens that they were trained on at once", "[model][published]") {
  CHECK(mpx::gpt2_124m::context == 1024);
  CHECK(mpx::gpt2_1558m::context == 1024);
  CHECK(mpx::gpt3_125m::context == 2048);
  CHECK(mpx::gpt3_175b::context == 2048);
  CHECK(mpx::llama_65b::context == 2048);
  CHECK(mpx::llama2_70b::context == 4096);
  CHECK(mpx::llama3_8b::context == 8192);
  CHECK(mpx::t5_11b::context == 512);
  CHECK(mpx::layers_v<mpx::gpt3_175b, recipe>.size() == 100);  // 96 blocks between embedding and norm, head, loss
}
