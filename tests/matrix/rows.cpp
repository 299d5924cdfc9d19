// Tensor ranks that divide rows: the rank with most of them runs as planned, to the last cache line.
#include "matrix.hpp"

namespace {

template <class Model, class Placement, class Recompute>
void the_fullest_rank_runs_as_planned() {
  using recipe = mpx::recipe<mpx::mesh<mpx::tensor<2>>, mpx::sequence_parallel, mpx::bf16_mixed, Placement, test::one_f_one_b_4,
                             Recompute, mpx::adam, mpx::clip_by_global_norm,
                             mpx::microbatch_capacity<mpx::sequences<3>, mpx::source_tokens<6>, mpx::target_tokens<5>>>;
  auto const& plan = mpx::plan_v<Model, recipe>;
  // 15 target rows: the first rank has 7, the second 8.
  CHECK(test::differences(plan, test::measure<Model, recipe>(1)) == test::none{});
  CHECK(test::measure<Model, recipe>(0).links[0].forward_bytes < plan.link_bytes(0).count);
}

using gpt2 = mpx::with_padded_vocabulary<test::small_gpt2, 2>;
using seq2seq = mpx::with_padded_vocabulary<test::small_seq2seq, 2>;
using llama = mpx::llama<mpx::vocabulary<14>, mpx::width<32>, mpx::heads<4>, mpx::key_value_heads<2>, mpx::feed_forward<48>,
                         mpx::layers<2>, mpx::context<16>>;
using whole = mpx::sequential<mpx::token_embedding<14, 32, "inputs">, mpx::learned_positions<16, 32>,
                              mpx::repeat<2, mpx::residual<mpx::layer_norm<32>, mpx::linear<32, 32>>>, mpx::dropout<32>,
                              mpx::language_head<32, 14>, mpx::cross_entropy<14>>;

}  // namespace

TEST_CASE("models whose tensor ranks divide rows run as planned", "[matrix][sequence_parallel]") {
  the_fullest_rank_runs_as_planned<gpt2, mpx::place_evenly<2>, mpx::keep_activations>();
  the_fullest_rank_runs_as_planned<gpt2, mpx::place_evenly<2>, mpx::recompute_block>();
  the_fullest_rank_runs_as_planned<llama, mpx::place_evenly<3>, mpx::recompute_block>();
  the_fullest_rank_runs_as_planned<whole, mpx::place_evenly<2>, mpx::keep_activations>();
}

TEST_CASE("an encoder-decoder whose tensor ranks divide rows runs as planned", "[matrix][sequence_parallel]") {
  using deep = mpx::place_at<mpx::at<"encoder", mpx::host<0>>, mpx::at<"decoder.embedding", mpx::host<0>>,
                             mpx::at<"decoder.layers.0", mpx::host<0>>, mpx::at<"decoder.layers.1", mpx::host<1>>,
                             mpx::at<"decoder.norm", mpx::host<1>>, mpx::at<"decoder.head", mpx::host<1>>,
                             mpx::at<"decoder.loss", mpx::host<1>>>;
  the_fullest_rank_runs_as_planned<seq2seq, deep, mpx::keep_activations>();
}
