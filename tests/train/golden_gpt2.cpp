// The decoder-only model with its tied table against PyTorch: logits, loss, every gradient, parameters after three steps.
#include "golden.hpp"

TEST_CASE("gpt2 in f32 agrees with PyTorch to 1e-5", "[train][golden]") {
  test::matches_golden<test::small_gpt2, mpx::f32_only, mpx::place_evenly<2>>("gpt2", 1e-5);
}

TEST_CASE("gpt2 in bf16 agrees with PyTorch to 2e-2", "[train][golden]") {
  test::matches_golden<test::small_gpt2, mpx::bf16_mixed, mpx::place_evenly<2>>("gpt2", 2e-2);
}
