// Activations and dropout.
#include <mpx_test.hpp>

#include "laws/layer.hpp"

namespace {

// The linear layer under "up" keeps a relu's inputs away from its kink.
using all_activations =
    test::tiny<mpx::section<"up", mpx::linear<8, 8>>, mpx::activation<mpx::relu, 8>, mpx::linear<8, 8>,
               mpx::activation<mpx::gelu, 8>, mpx::linear<8, 8>, mpx::activation<mpx::gelu_tanh, 8>, mpx::linear<8, 8>,
               mpx::activation<mpx::silu, 8>>;
/// An mlp out of parts. A dropout behind relu_dropout works in place as well: what backward reads then has more zeros.
template <class... Between>
struct mlp_of {
  using body = mpx::sequential<mpx::section<"up", mpx::linear<8, 8>>, Between..., mpx::section<"down", mpx::linear<8, 8>>>;
  using row_label = mpx::name<"mlp">;
  using takes = typename body::takes;
  using gives = typename body::gives;
  using reads = mpx::message<>;
  using feeds = mpx::message<>;
  using parameters = boost::hana::tuple<>;
};
using relu_and_dropout = test::tiny<mlp_of<mpx::relu_dropout<8>, mpx::dropout<8>>>;
using dropped_out = test::tiny<mpx::dropout<8>, mpx::linear<8, 8>, mpx::activation<mpx::gelu, 8>, mpx::dropout<8>>;

}  // namespace

TEST_CASE("the gradients before relu, gelu, gelu_tanh and silu are the central differences", "[layer][activation]") {
  test::gradients_match<all_activations>(test::tiny_batch());
  test::f32_follows_f64<all_activations>(test::tiny_batch());
}

TEST_CASE("the gradients below dropout are the central differences under the same masks", "[layer][activation]") {
  test::gradients_match<dropped_out>(test::tiny_batch(), {.dropout = 0.3f});
}

TEST_CASE("the gradients below relu_dropout are the central differences under the same masks", "[layer][activation]") {
  test::gradients_match<relu_and_dropout>(test::tiny_batch(), {.dropout = 0.3f});
  test::gradients_match<relu_and_dropout>(test::tiny_batch());
  test::f32_follows_f64<relu_and_dropout>(test::tiny_batch());
}

TEST_CASE("relu_dropout keeps nothing, and without dropout computes what relu does, to the bit", "[layer][activation]") {
  using apart = test::tiny<mlp_of<mpx::activation<mpx::relu, 8>>>;
  using together = test::tiny<mlp_of<mpx::relu_dropout<8>>>;
  auto const batch = test::tiny_batch();
  mpx::trainer<apart, test::still_recipe<mpx::f32_only>> one{{.dropout = 0}};
  mpx::trainer<together, test::still_recipe<mpx::f32_only>> other{{.dropout = 0}};
  test::spread_parameters(one);
  test::spread_parameters(other);
  CHECK(one.step(batch).loss == other.step(batch).loss);
  for (char const* name : {"mlp.up.weight", "mlp.up.bias", "mlp.down.weight"}) CHECK(one.gradient(name) == other.gradient(name));
  constexpr auto& kept_apart = mpx::plan_v<apart, test::still_recipe<mpx::f32_only>>;
  constexpr auto& kept_together = mpx::plan_v<together, test::still_recipe<mpx::f32_only>>;
  CHECK(kept_apart.layers[1].saved_bytes - kept_together.layers[1].saved_bytes == 4 * 8 * 8 * sizeof(float));
}

TEST_CASE("dropout changes the training loss, from step to step and from seed to seed, and never an evaluation",
          "[layer][activation]") {
  using trainer_type = mpx::trainer<dropped_out, test::still_recipe<test::f64_only>>;
  auto const batch = test::tiny_batch();
  trainer_type trainer{{.lr = {.peak = 0}, .seed = 5, .dropout = 0.3f}};
  test::spread_parameters(trainer);
  double const whole = trainer.evaluate(batch);
  double const first = trainer.step(batch).loss, second = trainer.step(batch).loss;
  CHECK(first != second);
  CHECK(first != whole);
  CHECK(trainer.evaluate(batch) == whole);

  trainer_type same{{.lr = {.peak = 0}, .seed = 5, .dropout = 0.3f}},
      other{{.lr = {.peak = 0}, .seed = 6, .dropout = 0.3f}};
  test::spread_parameters(same);
  test::spread_parameters(other);
  CHECK(same.step(batch).loss == first);
  CHECK(other.step(batch).loss != first);
}

TEST_CASE("two dropout layers do not share a mask", "[layer][activation]") {
  // Dropping twice with one mask keeps half; with two masks a quarter. The kept share shows in which rows of the table
  // have a gradient per channel: here one token, one position, so each channel is kept or not.
  using twice = test::tiny<mpx::dropout<8>, mpx::dropout<8>>;
  mpx::trainer<twice, test::still_recipe<test::f64_only>> trainer{{.lr = {.peak = 0}, .dropout = 0.5f}};
  test::spread_parameters(trainer);
  mpx::batch one{{1, {0, 1}}, {}, "one token"};
  one.columns.push_back({"inputs", mpx::axis::target, false, {3}});
  one.columns.push_back({"targets", mpx::axis::target, false, {4}});
  one.columns.push_back({"target_lengths", mpx::axis::target, true, {1}});
  int kept = 0;
  constexpr int steps = 200;
  for (int s = 0; s < steps; ++s) {
    trainer.step(one);
    auto const gradient = trainer.gradient("embedding.weight");
    for (std::size_t c = 0; c < 8; ++c) kept += gradient[3 * 8 + c] != 0;
  }
  // 1600 draws of probability 1/4: 400, with a standard deviation of 17.
  CHECK(kept > 400 - 5 * 17);
  CHECK(kept < 400 + 5 * 17);
}
