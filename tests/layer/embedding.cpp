// Token tables and positions.
#include <mpx_test.hpp>

#include <algorithm>

#include "laws/layer.hpp"

TEST_CASE("the gradients of a token table and of learned positions are the central differences", "[layer][embedding]") {
  using model = test::tiny<mpx::learned_positions<16, 8>, mpx::layer_norm<8>>;
  test::gradients_match<model>(test::tiny_batch());
}

TEST_CASE("the gradient of a scaled table below sinusoidal positions is the central difference", "[layer][embedding]") {
  using model =
      mpx::sequential<mpx::token_embedding<13, 8, "inputs", mpx::axis::target, true>, mpx::sinusoidal_positions<16, 8>,
                      mpx::layer_norm<8>, mpx::language_head<8, 13>, mpx::cross_entropy<13>>;
  test::gradients_match<model>(test::tiny_batch());
  test::f32_follows_f64<model>(test::tiny_batch());
}

TEST_CASE("a token that does not occur, and a position that is not reached, get no gradient", "[layer][embedding]") {
  using model = test::tiny<mpx::learned_positions<16, 8>, mpx::layer_norm<8>>;
  mpx::trainer<model, test::still_recipe<test::f64_only>> trainer{{.lr = {.peak = 0}, .dropout = 0}};
  test::spread_parameters(trainer);
  auto batch = test::tiny_batch();
  for (auto& id : batch.columns[2].values) id = 1 + id % 12;  // "inputs": every token but 0
  trainer.step(batch);

  auto const table = trainer.gradient("embedding.weight");
  CHECK(std::all_of(table.begin(), table.begin() + 8, [](double g) { return g == 0; }));
  CHECK(std::any_of(table.begin() + 8, table.end(), [](double g) { return g != 0; }));
  auto const positions = trainer.gradient("positions.weight");  // 7 of 16 are used
  CHECK(std::all_of(positions.begin() + 7 * 8, positions.end(), [](double g) { return g == 0; }));
  CHECK(std::any_of(positions.begin() + 6 * 8, positions.begin() + 7 * 8, [](double g) { return g != 0; }));
}
