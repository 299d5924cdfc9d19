// Mirrors include/mpx/plan/plan.hpp.
#include <mpx/plan/plan.hpp>

#include <models.hpp>
#include <mpx_test.hpp>

using namespace mpx::literals;

namespace {

template <class... Policies>
using run = mpx::recipe<mpx::microbatch_capacity<mpx::sequences<2>, mpx::source_tokens<8>, mpx::target_tokens<4>>, Policies...>;
using apart = mpx::place_at<mpx::at<"encoder", mpx::host<0>>, mpx::at<"decoder", mpx::host<1>>>;
using four = mpx::gpipe<mpx::microbatches<4>>;

constexpr auto& seq2seq = mpx::plan_v<test::small_seq2seq, run<apart, four>>;
constexpr auto& gpt2 = mpx::plan_v<test::small_gpt2, run<mpx::place_evenly<2>, four>>;

// GPT-3: a table of 50257 x 12288, 2048 positions, 96 blocks of 12 C^2 + 13 C, and a norm. Depth costs no template depth.
using gpt3 = mpx::gpt2<mpx::vocabulary<50257>, mpx::width<12288>, mpx::heads<96>, mpx::layers<96>, mpx::context<2048>>;
using gpt3_run = mpx::recipe<mpx::microbatch_capacity<mpx::sequences<1>, mpx::tokens<2048>>, mpx::place_evenly<8>,
                             mpx::one_f_one_b<mpx::microbatches<16>>, mpx::bf16_mixed>;
constexpr std::size_t c = 12288;
static_assert(mpx::plan_v<gpt3, gpt3_run>.layer_count == 100);
static_assert(mpx::plan_v<gpt3, gpt3_run>.stage_count == 8);
static_assert(mpx::plan_v<gpt3, gpt3_run>.parameters() == (50257 + 2048) * c + 96 * (12 * c * c + 13 * c) + 2 * c);
static_assert(mpx::plan_v<gpt3, gpt3_run>.parameters() == 174'604'259'328);

}  // namespace

static_assert(seq2seq.layer_count == 10 && seq2seq.stage_count == 2 && seq2seq.device_count == 2 && seq2seq.link_count == 1);
static_assert(seq2seq.microbatches == 4 && seq2seq.capacity.sequences == 2);

// By name, by device.
static_assert(mpx::device_of<test::small_seq2seq, run<apart>, "encoder.layers.1"> == mpx::host<0>{});
static_assert(mpx::device_of<test::small_seq2seq, run<apart>, "decoder.layers.0"> == mpx::host<1>{});
static_assert(mpx::device_of<test::small_gpt2, run<>, "loss"> == mpx::host<0>{});
static_assert(seq2seq.index_of(mpx::host<1>{}) == 1 && seq2seq.index_of(mpx::host<7>{}) == 2);
static_assert(seq2seq.devices[0] == mpx::host<0>{} && seq2seq.stages[1].where == mpx::host<1>{});

static_assert(seq2seq.bytes_on(mpx::host<0>{}).count == seq2seq.arena_bytes[0]);
static_assert(seq2seq.bytes_on(mpx::host<1>{}) > 0_B && seq2seq.bytes_on(mpx::host<1>{}) < 1_MiB);
static_assert(seq2seq.bytes_on(mpx::cuda<0>{}) == 0_B);

// Four microbatches of 2 x 8 source tokens (the memory), or of 2 x 4 target tokens, 32 channels of 4 bytes.
static_assert(seq2seq.link_bytes(0).count == 4 * 16 * 32 * 4);
static_assert(gpt2.link_bytes(0).count == 4 * 8 * 32 * 4);
// A cut inside the decoder: both.
using cut = mpx::place_at<mpx::at<"encoder", mpx::host<0>>, mpx::at<"decoder.embedding", mpx::host<0>>,
                          mpx::at<"decoder.layers.0", mpx::host<0>>, mpx::at<"decoder.layers.1", mpx::host<1>>,
                          mpx::at<"decoder.norm", mpx::host<1>>, mpx::at<"decoder.head", mpx::host<1>>,
                          mpx::at<"decoder.loss", mpx::host<1>>>;
static_assert(mpx::plan_v<test::small_seq2seq, run<cut, four>>.link_bytes(0).count == 4 * (16 + 8) * 32 * 4);
static_assert(mpx::plan_v<test::small_seq2seq, run<cut, four, mpx::bf16_mixed>>.link_bytes(0).count == 4 * (16 + 8) * 32 * 2);

// gpt2's head, layer 4, has the table of its embedding, layer 0.
static_assert(gpt2.ties.size() == 1 && gpt2.ties[0].copy_layer == 4 && gpt2.ties[0].copy_parameter == 0);
static_assert(gpt2.ties[0].owner_layer == 0 && gpt2.ties[0].owner_parameter == 0 && gpt2.ties[0].count == 61 * 32);
using untied = mpx::gpt2<mpx::vocabulary<61>, mpx::width<32>, mpx::heads<4>, mpx::layers<2>, mpx::context<16>, mpx::untied>;
static_assert(mpx::plan_v<untied, run<>>.ties.empty());
static_assert(mpx::plan_v<untied, run<>>.parameters() == gpt2.parameters() + 61 * 32);

// --- on a mesh: what one data and tensor rank has ----------------------------------------------------------------------
namespace {

// gpt2 of width 32 with 4 heads, 128 hidden values and 2 layers, its vocabulary padded to 64.
using padded = mpx::with_padded_vocabulary<test::small_gpt2, 4>;
template <class... Axes>
constexpr auto& on = mpx::plan_v<padded, run<mpx::mesh<Axes...>, four>>;

/// Elements that one of T ranks holds. Shared: the table and the head's copy of it; in each block qkv, the inputs of
/// out, up, the inputs of down. Whole: positions, norms, the biases behind a sum. Each begins on a line of 32.
constexpr std::size_t elements(std::size_t T) {
  std::size_t const qkv_bias = (96 / T + 31) / 32 * 32;
  std::size_t const shared = 96 * 32 / T + qkv_bias + 32 * 32 / T + 128 * 32 / T + 128 / T + 32 * 128 / T;
  return 64 * 32 / T + 16 * 32 + 2 * (2 * 64 + shared + 2 * 32) + 64 + 64 * 32 / T;
}
static_assert(elements(1) == 30'080 && elements(2) == 15'552 && elements(4) == 8'256);

/// On one device the head reads the table's weights, and has a gradient alone.
constexpr std::size_t held(std::size_t T) { return elements(T) - 64 * 32 / T; }

template <class Plan>
constexpr std::size_t weights(Plan const& plan) {
  return plan.memory_on(mpx::host<0>{}).master.count;
}
static_assert(weights(on<>) == 4 * held(1));
static_assert(weights(on<mpx::tensor<2>>) == 4 * held(2));
static_assert(weights(on<mpx::tensor<4>>) == 4 * held(4));
static_assert(weights(on<mpx::data<2>, mpx::tensor<2>>) == 4 * held(2));
// The model has as many parameters on any mesh.
static_assert(on<>.parameters() == on<mpx::tensor<4>>.parameters() && on<>.stages[0].parameters == on<>.parameters());
static_assert(on<mpx::tensor<4>>.stages[0].parameters == on<>.parameters());

// Sums over tensor ranks, of 8 rows of 32 f32: the embedding's output; forward and backward of two layers in each of
// two blocks; the gradient of the head's input. Of each row, a maximum and three sums of the loss.
constexpr std::size_t x = 8 * 32 * 4, of_loss = 8 * (1 + 3) * 4;
static_assert(on<mpx::tensor<2>>.tensor_sum_bytes(0).count == 4 * ((1 + 2 * 2 * 2 + 1) * x + of_loss));
static_assert(on<mpx::tensor<4>>.tensor_sum_bytes(0) == on<mpx::tensor<2>>.tensor_sum_bytes(0));
static_assert(on<>.tensor_sum_bytes(0) == 0_B && on<mpx::data<2>>.tensor_sum_bytes(0) == 0_B);
// In bf16 half of it, but for the loss. A recomputed block sums its forward once more.
constexpr auto& bf16 = mpx::plan_v<padded, run<mpx::mesh<mpx::tensor<2>>, four, mpx::bf16_mixed>>;
static_assert(bf16.tensor_sum_bytes(0).count == 4 * (10 * x / 2 + of_loss));
constexpr auto& again = mpx::plan_v<padded, run<mpx::mesh<mpx::tensor<2>>, four, mpx::recompute_block>>;
static_assert(again.tensor_sum_bytes(0).count == 4 * ((10 + 2 * 2) * x + of_loss));

// Gradients are summed in f32 over the data ranks, each tensor rank's part on its own.
static_assert(on<mpx::data<2>>.data_sum_bytes(0).count == 4 * elements(1));
static_assert(on<mpx::data<4>, mpx::tensor<2>>.data_sum_bytes(0).count == 4 * elements(2));
static_assert(on<mpx::tensor<2>>.data_sum_bytes(0) == 0_B);

constexpr auto& cube = on<mpx::data<2>, mpx::pipeline<2>, mpx::tensor<2>>;
static_assert(cube.mesh.data == 2 && cube.mesh.pipeline == 2 && cube.mesh.tensor == 2 && cube.mesh.devices() == 8);
static_assert(cube.device_count == 2 && cube.stage_count == 2 && cube.capacity.ranks == 2);
// A stage's stream is whole on each tensor rank: a link carries as much as without them.
static_assert(cube.link_bytes(0).count == 4 * x);

}  // namespace

TEST_CASE("the stages of a mesh hold and sum together what one stage does", "[plan][plan]") {
  constexpr auto& alone = on<mpx::data<2>, mpx::tensor<2>>;
  CHECK(cube.stages[0].parameter_elements + cube.stages[1].parameter_elements == elements(2));
  CHECK(cube.tensor_sum_bytes(0) + cube.tensor_sum_bytes(1) == alone.tensor_sum_bytes(0));
  CHECK(cube.data_sum_bytes(0) + cube.data_sum_bytes(1) == alone.data_sum_bytes(0));
  CHECK(cube.data_sum_bytes(0) > 0_B);
  for (mpx::device d : cube.devices) CHECK(cube.memory_on(d).total() == cube.bytes_on(d));
}

TEST_CASE("tensor ranks share the work of each layer", "[plan][plan]") {
  // Every product has an operand that is shared; without a mesh all of it is one rank's.
  double const whole = on<>.stages[0].forward_flops;
  CHECK(whole > 0);
  CHECK(on<mpx::tensor<2>>.stages[0].forward_flops == whole / 2);
  CHECK(on<mpx::tensor<4>>.stages[0].forward_flops == whole / 4);
  CHECK(on<mpx::data<2>>.stages[0].forward_flops == whole);
}

TEST_CASE("a device's memory by kind sums up to its arena", "[plan][plan]") {
  for (mpx::device d : seq2seq.devices) CHECK(seq2seq.memory_on(d).total() == seq2seq.bytes_on(d));
  for (mpx::device d : gpt2.devices) CHECK(gpt2.memory_on(d).total() == gpt2.bytes_on(d));
  CHECK(gpt2.memory_on(mpx::host<0>{}).optimizer == gpt2.memory_on(mpx::host<0>{}).master * 2);
  CHECK(gpt2.memory_on(mpx::host<7>{}).total() == 0_B);
}

TEST_CASE("stages hold every parameter once, wherever the model is cut", "[plan][plan]") {
  auto const sum = [](auto const& plan) {
    std::size_t n = 0;
    for (auto const& stage : plan.stages) n += stage.parameters;
    return n;
  };
  CHECK(sum(seq2seq) == seq2seq.parameters());
  CHECK(sum(gpt2) == gpt2.parameters());
  CHECK(gpt2.parameters() == mpx::plan_v<test::small_gpt2, run<>>.parameters());
}

TEST_CASE("devices are numbered in the model's order", "[plan][plan]") {
  using backwards = mpx::place_at<mpx::at<"encoder", mpx::host<5>>, mpx::at<"decoder", mpx::host<2>>>;
  constexpr auto& plan = mpx::plan_v<test::small_seq2seq, run<backwards>>;
  CHECK(plan.devices[0] == mpx::host<5>{});
  CHECK(plan.devices[1] == mpx::host<2>{});
  CHECK(plan.index_of(mpx::host<2>{}) == 1);
}

TEST_CASE("one device is never idle, and more microbatches leave less idle time", "[plan][plan]") {
  CHECK(mpx::plan_v<test::small_gpt2, run<four>>.idle_share() == Approx(0.0).margin(1e-12));
  double const few = gpt2.idle_share();
  double const many = mpx::plan_v<test::small_gpt2, run<mpx::place_evenly<2>, mpx::gpipe<mpx::microbatches<16>>>>.idle_share();
  CHECK(few > many);
  CHECK(many > 0);
}
