// A whole decoder-only model: its table is also its head, on one device or on two.
#include <mpx_test.hpp>

#include <algorithm>

#include "laws/layer.hpp"

namespace {

mpx::batch text_batch() { return test::make_batch(3, 5, 7, 11, 61); }

}  // namespace

TEST_CASE("the gradients of a gpt2 with tied weights are the central differences", "[layer][gpt2]") {
  test::gradients_match<test::small_gpt2>(text_batch());
}

TEST_CASE("the gradients of a gpt2 are the central differences on three devices, where the tied table lives on two",
          "[layer][gpt2]") {
  using recipe = test::still_recipe<test::f64_only, mpx::place_evenly<3>>;
  static_assert(mpx::device_of<test::small_gpt2, recipe, "embedding"> !=
                mpx::device_of<test::small_gpt2, recipe, "head">);
  test::gradients_match<test::small_gpt2, mpx::place_evenly<3>, 2>(text_batch());
}

TEST_CASE("both holders of a tied table have the same gradient and the same values", "[layer][gpt2]") {
  mpx::trainer<test::small_gpt2, test::still_recipe<test::f64_only>> trainer{{.lr = {.peak = 0.01f}, .dropout = 0}};
  trainer.step(text_batch());
  auto const table = trainer.parameter("embedding.token.weight"), head = trainer.parameter("head.weight");
  CHECK(std::equal(table.begin(), table.end(), head.begin()));
  auto const of_table = trainer.gradient("embedding.token.weight"), of_head = trainer.gradient("head.weight");
  CHECK(std::equal(of_table.begin(), of_table.end(), of_head.begin()));
  CHECK(std::any_of(of_table.begin(), of_table.end(), [](double g) { return g != 0; }));
}
