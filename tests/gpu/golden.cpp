// Whole models on a GPU against PyTorch in f64: logits, loss, every gradient, parameters after three steps. On one device,
// and on two that are one GPU.
#include "gpu.hpp"
#include "train/golden.hpp"

namespace {

using one_device = mpx::place_all<mpx::cuda<0>>;
using two_stages_of_gpt2 = mpx::place_at<mpx::at<"embedding", mpx::cuda<0>>,
                                         mpx::at<"layers.0", mpx::cuda<0>>, mpx::at<"layers.1", mpx::cuda<1>>,
                                         mpx::at<"norm", mpx::cuda<1>>, mpx::at<"head", mpx::cuda<1>>, mpx::at<"loss", mpx::cuda<1>>>;
using encoder_and_decoder = mpx::place_at<mpx::at<"encoder", mpx::cuda<0>>, mpx::at<"decoder", mpx::cuda<1>>>;
using t5_model = mpx::t5<mpx::vocabulary<29>, mpx::width<32>, mpx::heads<4>, mpx::head_width<12>, mpx::feed_forward<64>,
                         mpx::encoder_layers<2>, mpx::decoder_layers<2>>;
using t5_capacity = mpx::microbatch_capacity<mpx::sequences<3>, mpx::source_tokens<40>, mpx::target_tokens<24>>;

template <class Model, class Precision, class Placement, class Capacity = test::golden_capacity>
void matches(std::string const& name, double bound) {
  test::matches_golden<Model, Precision, Placement, Capacity, test::one_gpu>(name, bound);
}

}  // namespace

TEST_CASE("gpt2 on a GPU agrees with PyTorch to 1e-5 in f32, 2e-2 in bf16", "[gpu][golden]") {
  if (test::no_gpu()) return;
  matches<test::small_gpt2, mpx::f32_only, one_device>("gpt2", 1e-5);
  matches<test::small_gpt2, mpx::bf16_mixed, one_device>("gpt2", 2e-2);
  matches<test::small_gpt2, mpx::f32_only, two_stages_of_gpt2>("gpt2", 1e-5);
}

TEST_CASE("seq2seq on a GPU agrees with PyTorch to 1e-5 in f32, 2e-2 in bf16", "[gpu][golden]") {
  if (test::no_gpu()) return;
  matches<test::small_seq2seq, mpx::f32_only, one_device>("seq2seq", 1e-5);
  matches<test::small_seq2seq, mpx::bf16_mixed, encoder_and_decoder>("seq2seq", 2e-2);
}

TEST_CASE("t5 on a GPU agrees with PyTorch to 1e-5 in f32", "[gpu][golden]") {
  if (test::no_gpu()) return;
  matches<t5_model, mpx::f32_only, one_device, t5_capacity>("t5", 1e-5);
}
