// Norms.
#include <mpx_test.hpp>

#include "laws/layer.hpp"

TEST_CASE("the gradients of layer_norm are the central differences", "[layer][norm]") {
  using model = test::tiny<mpx::layer_norm<8>, mpx::linear<8, 8>, mpx::layer_norm<8>>;
  test::gradients_match<model>(test::tiny_batch());
  test::f32_follows_f64<model>(test::tiny_batch());
}

TEST_CASE("the gradients of rms_norm are the central differences", "[layer][norm]") {
  using model = test::tiny<mpx::rms_norm<8>, mpx::linear<8, 8>, mpx::rms_norm<8>>;
  test::gradients_match<model>(test::tiny_batch());
  test::f32_follows_f64<model>(test::tiny_batch());
}
