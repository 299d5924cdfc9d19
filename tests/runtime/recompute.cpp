// Recomputing activations changes memory and work, never a bit.
#include "placement.hpp"

using namespace test;

namespace {

template <class Model, class Precision>
void recomputes_the_same_bits() {
  using two = mpx::place_evenly<2>;
  auto const kept = after_20_steps<Model, Precision, two, one_f_one_b_4>();
  CHECK(same_bytes(kept, after_20_steps<Model, Precision, two, one_f_one_b_4, mpx::recompute_block>()));
}

template <class Recompute>
using recipe = mpx::recipe<mpx::place_evenly<2>, one_f_one_b_4, Recompute,
                           mpx::microbatch_capacity<mpx::sequences<4>, mpx::source_tokens<6>, mpx::target_tokens<6>>>;

/// The second half of the blocks keeps its activations: a policy of the user's own.
struct recompute_first_block {
  static constexpr bool recomputes(mpx::layer_info const& layer) { return layer.name.is("layers.0"); }
};

constexpr auto& keep = mpx::plan_v<small_gpt2, recipe<mpx::keep_activations>>;
constexpr auto& again = mpx::plan_v<small_gpt2, recipe<mpx::recompute_block>>;
constexpr auto& first = mpx::plan_v<small_gpt2, recipe<recompute_first_block>>;
static_assert(again.memory_on(mpx::host<0>{}).activations < keep.memory_on(mpx::host<0>{}).activations);
static_assert(first.layers[1].recomputed && !first.layers[2].recomputed);
// One more forward of the recomputed layers: the block stands in stage 0, and costs its own FLOPs again.
static_assert(keep.stages[0].recomputed_flops == 0 && first.stages[0].recomputed_flops == first.layers[1].forward_flops);
// Each half of a split backward repeats it.
static_assert(mpx::plan_v<small_gpt2, mpx::recipe<mpx::place_evenly<2>, zb_h1_4, recompute_first_block,
                                                  mpx::microbatch_capacity<mpx::sequences<4>, mpx::target_tokens<6>>>>.stages[0].recomputed_flops ==
              2 * first.layers[1].forward_flops);
// The head keeps nothing but its input, the loss its logits: neither is recomputed.
static_assert(!again.layers[again.layer_count - 1].recomputed && !again.layers[again.layer_count - 2].recomputed);

}  // namespace

TEST_CASE("recomputed seq2seq ends with the same bytes", "[runtime][recompute]") {
  recomputes_the_same_bits<small_seq2seq, mpx::bf16_mixed>();
}

TEST_CASE("recomputed t5 ends with the same bytes", "[runtime][recompute]") {
  recomputes_the_same_bits<small_t5, mpx::bf16_mixed>();
}

TEST_CASE("recomputed gpt2 ends with the same bytes, in both halves of split backwards too", "[runtime][recompute]") {
  recomputes_the_same_bits<small_gpt2, mpx::f32_only>();
  using two = mpx::place_evenly<2>;
  CHECK(same_bytes(after_20_steps<small_gpt2, mpx::f32_only, two, zb_h1_4>(),
                   after_20_steps<small_gpt2, mpx::f32_only, two, zb_h1_4, mpx::recompute_block>()));
}
