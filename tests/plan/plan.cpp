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
