// The encoder-decoder model against PyTorch: logits, loss, every gradient, parameters after three steps.
#include "golden.hpp"

using two_devices = mpx::place_at<mpx::at<"encoder", mpx::host<0>>, mpx::at<"decoder", mpx::host<1>>>;

TEST_CASE("seq2seq in f32 agrees with PyTorch to 1e-5", "[train][golden]") {
  test::matches_golden<test::small_seq2seq, mpx::f32_only, two_devices>("seq2seq", 1e-5);
}

TEST_CASE("seq2seq in bf16 agrees with PyTorch to 2e-2", "[train][golden]") {
  test::matches_golden<test::small_seq2seq, mpx::bf16_mixed, two_devices>("seq2seq", 2e-2);
}
