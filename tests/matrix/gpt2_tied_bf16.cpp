// gpt2 with a tied head, in bf16.
#include "matrix.hpp"

TEST_CASE("gpt2 with a tied head in bf16 runs as planned on 1 to 4 devices", "[matrix]") {
  test::on_1_to_4_devices<test::small_gpt2, mpx::bf16_mixed>();
}

TEST_CASE("each layer of gpt2 with a tied head in bf16 computes the FLOPs that its plan says", "[matrix][flops]") {
  test::each_layer_as_planned<test::small_gpt2, mpx::bf16_mixed, mpx::keep_activations>();
  test::each_layer_as_planned<test::small_gpt2, mpx::bf16_mixed, mpx::recompute_block>();
}
