// gpt2 with a tied head, in f32.
#include "matrix.hpp"

TEST_CASE("gpt2 with a tied head in f32 runs as planned on 1 to 4 devices", "[matrix]") {
  test::on_1_to_4_devices<test::small_gpt2, mpx::f32_only>();
}

TEST_CASE("each layer of gpt2 with a tied head in f32 computes the FLOPs that its plan says", "[matrix][flops]") {
  test::each_layer_as_planned<test::small_gpt2, mpx::f32_only, mpx::keep_activations>();
  test::each_layer_as_planned<test::small_gpt2, mpx::f32_only, mpx::recompute_block>();
}

TEST_CASE("gpt2 with a tied head in f32 runs as planned when backwards are split", "[matrix]") {
  test::in_halves<test::small_gpt2, mpx::f32_only>();
}
