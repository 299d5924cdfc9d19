// A model with layers of the user's own, in bf16.
#include "matrix.hpp"

TEST_CASE("a model with layers of the user's own in bf16 runs as planned on 1 to 4 devices", "[matrix]") {
  test::on_1_to_4_devices<test::own_layers, mpx::bf16_mixed>();
}

TEST_CASE("each layer of a model with layers of the user's own in bf16 computes the FLOPs that its plan says",
          "[matrix][flops]") {
  test::each_layer_as_planned<test::own_layers, mpx::bf16_mixed, mpx::keep_activations>();
  test::each_layer_as_planned<test::own_layers, mpx::bf16_mixed, mpx::recompute_block>();
}
