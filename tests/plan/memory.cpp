// Mirrors include/mpx/plan/memory.hpp.
#include <mpx/plan/plan.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include <models.hpp>
#include <mpx_test.hpp>

namespace {

// 2 sequences of 8 tokens: 16 rows on both axes.
template <class... Policies>
using run = mpx::recipe<mpx::microbatch_capacity<mpx::sequences<2>, mpx::source_tokens<8>, mpx::target_tokens<8>>, Policies...>;

using apart = mpx::place_at<mpx::at<"encoder", mpx::host<0>>, mpx::at<"decoder", mpx::host<1>>>;

struct in_turn {
  template <std::size_t N>
  static constexpr std::array<mpx::device, N> assign(std::array<mpx::layer_info, N> const&) {
    std::array<mpx::device, N> where{};
    for (std::size_t i = 0; i < N; ++i) where[i] = {mpx::device_kind::host, static_cast<int>(i / 2 % 2)};
    return where;
  }
};

std::vector<mpx::region> regions(mpx::stage_info const& s) {
  return {s.weights, s.master, s.gradients, s.tied_gradients, s.states, s.constants, s.saved, s.gradient_buffers,
          s.held_gradients, s.outgoing, s.scratch, s.incoming_forward, s.incoming_backward, s.outgoing_forward,
          s.outgoing_backward};
}

/// Regions of a device follow each other without a gap, each on a cache line, and fill its arena.
template <class Plan>
void check_arenas(Plan const& plan) {
  for (std::size_t d = 0; d < Plan::device_count; ++d) {
    std::vector<mpx::region> all;
    for (auto const& stage : plan.stages)
      if (stage.device_index == d)
        for (auto const& r : regions(stage))
          if (r.size > 0) all.push_back(r);
    std::sort(all.begin(), all.end(), [](auto const& a, auto const& b) { return a.offset < b.offset; });
    std::size_t end = 0;
    for (auto const& r : all) {
      CHECK(r.offset == end);
      CHECK(r.offset % mpx::alignment == 0);
      end = r.offset + r.size;
    }
    CHECK(end == plan.arena_bytes[d]);
  }
}

constexpr auto& f32 = mpx::plan_v<test::small_seq2seq, run<apart>>;
constexpr auto& bf16 = mpx::plan_v<test::small_seq2seq, run<apart, mpx::bf16_mixed>>;
constexpr std::size_t x = 16 * 32 * 4;  // one stream of width 32, in f32

// A pre-norm encoder block of width 32, 4 heads and 64 hidden values keeps: two norms (x and two f32 a row), attention
// (x, qkv, the heads' output, four f32 a row), and the mlp (x and, with relu, the hidden values once). Counted by hand:
constexpr std::size_t block = 2 * (2048 + 2 * 64) + (2048 + 6144 + 2048 + 256) + (2048 + 4096);

// On host and GPU: channels and the sum of a tied gradient need memory that both reach, which is the host's.
template <class First, class Second>
using seq2seq_on = mpx::place_at<mpx::at<"encoder", First>, mpx::at<"decoder", Second>>;
template <class Embedding, class Rest>
using gpt2_on = mpx::place_at<mpx::at<"embedding", Embedding>, mpx::at<"layers", Rest>, mpx::at<"norm", Rest>,
                              mpx::at<"head", Rest>, mpx::at<"loss", Rest>>;
constexpr auto& to_gpu = mpx::plan_v<test::small_seq2seq, run<seq2seq_on<mpx::host<0>, mpx::cuda<0>>>>;
constexpr auto& from_gpu = mpx::plan_v<test::small_seq2seq, run<seq2seq_on<mpx::cuda<0>, mpx::host<0>>>>;
constexpr auto& tied_to_gpu = mpx::plan_v<test::small_gpt2, run<gpt2_on<mpx::host<0>, mpx::cuda<0>>>>;
constexpr auto& tied_from_gpu = mpx::plan_v<test::small_gpt2, run<gpt2_on<mpx::cuda<0>, mpx::host<0>>>>;

constexpr std::size_t channels_on(auto const& plan, mpx::device where) { return plan.memory_on(where).channels.count; }

}  // namespace

static_assert(channels_on(to_gpu, mpx::host<0>{}) == 4 * x && channels_on(to_gpu, mpx::cuda<0>{}) == 0);
static_assert(to_gpu.stages[0].outgoing_forward.size == 2 * x && to_gpu.stages[0].incoming_backward.size == 2 * x);
static_assert(channels_on(from_gpu, mpx::host<0>{}) == 4 * x && channels_on(from_gpu, mpx::cuda<0>{}) == 0);
static_assert(from_gpu.stages[1].incoming_forward.size == 2 * x && from_gpu.stages[1].outgoing_backward.size == 2 * x);
static_assert(to_gpu.bytes_on(mpx::cuda<0>{}).count == f32.bytes_on(mpx::host<1>{}).count - 2 * x);

// One gradient of the table of 61 x 32, from the GPU.
static_assert(tied_to_gpu.stages[0].tied_gradients.size == 61 * 32 * 4 && tied_to_gpu.stages[1].tied_gradients.size == 0);
static_assert(tied_from_gpu.stages[0].tied_gradients.size == 0 && tied_from_gpu.stages[1].tied_gradients.size == 61 * 32 * 4);
static_assert(tied_to_gpu.memory_on(mpx::host<0>{}).gradients.count == (61 * 32 + 16 * 32 + 61 * 32) * 4);

static_assert(block == 20'992);
static_assert(f32.layers[1].saved_bytes == block);
static_assert(bf16.layers[1].saved_bytes == (block - 8 * 64) / 2 + 8 * 64);

// A slot of the encoder: two blocks, the norm's x and statistics, the memory that it holds, and source ids and lengths.
static_assert(f32.stages[0].slot_size == 2 * block + (x + 2 * 64) + x + 64 + 64);
static_assert(f32.places[1].saved_offset == 0 && f32.places[2].saved_offset == block && f32.places[3].saved_offset == 2 * block);
static_assert(f32.stages[0].held_offset[0] == 2 * block + x + 128);

// Parameters stand behind each other: the table of 11 x 32, then the first block.
static_assert(f32.places[0].parameter_offset == 0 && f32.places[1].parameter_offset == 11 * 32);
static_assert(f32.stages[0].constants.size == 16 * 32 * 4);  // 16 sinusoidal positions

// f32 has no second copy of the weights; adam has two states for each of them.
static_assert(f32.stages[0].weights.size == 0 && f32.stages[0].states.size == 2 * f32.stages[0].master.size);
static_assert(bf16.stages[0].weights.size * 2 == bf16.stages[0].master.size);
static_assert(bf16.stages[0].gradients.size == f32.stages[0].gradients.size);

// The link carries the memory alone: channels hold two messages, in the receiver's arena.
static_assert(f32.links[0].streams == 1 && !f32.links[0].has_direct());
static_assert(f32.stages[1].incoming_forward.size == 2 * x && f32.stages[0].incoming_forward.size == 0);
static_assert(f32.stages[0].incoming_backward.size == 2 * x && f32.stages[1].incoming_backward.size == 0);
static_assert(f32.stages[0].outgoing.size == 0 && f32.stages[0].held_gradients.size == x);

// The decoder reads source lengths too: each device loads what its layers read.
static_assert(f32.stages[0].feed_count == 2 && f32.stages[1].feed_count == 4);

TEST_CASE("regions neither overlap nor leave gaps, in any placement", "[plan][memory]") {
  check_arenas(f32);
  check_arenas(bf16);
  check_arenas(mpx::plan_v<test::small_seq2seq, run<mpx::place_all<>>>);
  check_arenas(mpx::plan_v<test::small_seq2seq, run<mpx::place_evenly<3>, mpx::gpipe<mpx::microbatches<4>>>>);
  check_arenas(mpx::plan_v<test::small_seq2seq, run<in_turn, mpx::gpipe<mpx::microbatches<4>>, mpx::sgd>>);
  check_arenas(mpx::plan_v<test::small_gpt2, run<mpx::place_evenly<4>, mpx::one_f_one_b<mpx::microbatches<4>>, mpx::bf16_mixed>>);
  check_arenas(mpx::plan_v<test::small_gpt2, run<in_turn>>);
  check_arenas(to_gpu);
  check_arenas(from_gpu);
  check_arenas(tied_to_gpu);
  check_arenas(tied_from_gpu);
}

TEST_CASE("layers of a stage share its regions without overlapping", "[plan][memory]") {
  for (auto const& stage : f32.stages) {
    std::size_t elements = 0, saved = 0;
    for (std::size_t r = stage.first; r < stage.end; ++r) {
      CHECK(f32.places[r].parameter_offset == elements);
      CHECK(f32.places[r].saved_offset == saved);
      elements += f32.layers[r].parameter_elements;
      saved += f32.layers[r].saved_bytes;
    }
    CHECK(stage.parameter_elements == elements);
    CHECK(stage.master.size == elements * 4);
    CHECK(stage.saved.size == stage.slot_size * stage.slots);
  }
}

TEST_CASE("each microbatch in flight takes a slot", "[plan][memory]") {
  constexpr auto& all = mpx::plan_v<test::small_gpt2, run<mpx::place_evenly<2>, mpx::gpipe<mpx::microbatches<8>>>>;
  constexpr auto& few = mpx::plan_v<test::small_gpt2, run<mpx::place_evenly<2>, mpx::one_f_one_b<mpx::microbatches<8>>>>;
  CHECK(all.stages[0].slots == 8);
  CHECK(few.stages[0].slots == 2);
  CHECK(few.stages[1].slots == 1);
  CHECK(all.stages[0].saved.size == 4 * few.stages[0].saved.size);
}

TEST_CASE("a stream that goes straight on leaves through a buffer of its own", "[plan][memory]") {
  constexpr auto& plan = mpx::plan_v<test::small_gpt2, run<mpx::place_evenly<2>>>;
  CHECK(plan.links[0].has_direct());
  CHECK(plan.stages[0].outgoing.size == x);
  CHECK(plan.stages[1].incoming_forward.size == 2 * x);
  CHECK(plan.stages[0].gradient_buffer_size == x);
}
