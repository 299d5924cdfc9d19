// llama, whose heads share keys and values, in f32 and bf16.
#include "matrix.hpp"

namespace {

using model = mpx::llama<mpx::vocabulary<13>, mpx::width<32>, mpx::heads<4>, mpx::key_value_heads<2>, mpx::feed_forward<48>,
                         mpx::layers<2>, mpx::context<16>>;

}  // namespace

TEST_CASE("llama with shared keys and values runs as planned on 1 and 2 devices", "[matrix]") {
  test::on_devices<model, mpx::bf16_mixed, 1>();
  test::on_devices<model, mpx::f32_only, 2>();
}

TEST_CASE("llama with shared keys and values runs as planned when backwards are split", "[matrix]") {
  test::in_halves<model, mpx::bf16_mixed>();
}

TEST_CASE("each layer of llama with shared keys and values computes the FLOPs that its plan says", "[matrix][flops]") {
  test::each_layer_as_planned<model, mpx::f32_only, mpx::keep_activations>();
  test::each_layer_as_planned<model, mpx::f32_only, mpx::recompute_block>();
}
