// The loss.
#include <mpx_test.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

#include "laws/layer.hpp"

namespace {

using model = test::tiny<>;
using trainer_type = mpx::trainer<model, test::still_recipe<test::f64_only>>;

}  // namespace

TEST_CASE("the gradients of the loss are the central differences, label smoothing included", "[layer][cross_entropy]") {
  test::gradients_match<model>(test::tiny_batch());
  test::gradients_match<model>(test::tiny_batch(), {.label_smoothing = 0.2f});
}

TEST_CASE("equal logits cost the logarithm of the vocabulary, smoothed or not", "[layer][cross_entropy]") {
  for (float smoothing : {0.0f, 0.1f}) {
    trainer_type trainer{{.lr = {.peak = 0}, .dropout = 0, .label_smoothing = smoothing}};
    trainer.set_parameter("head.weight", std::vector<double>(13 * 8));
    CHECK(trainer.step(test::tiny_batch()).loss == Approx(std::log(13.0)).epsilon(1e-12));
  }
}

TEST_CASE("smoothing mixes the target's cost with the mean cost of all tokens", "[layer][cross_entropy]") {
  // One token whose embedding is (1, 0, ...): its logits are the first column of the head, here 2 for token 4, else 0.
  trainer_type trainer{{.lr = {.peak = 0}, .dropout = 0, .label_smoothing = 0.25f}};
  std::vector<double> table(13 * 8), head(13 * 8);
  table[3 * 8] = 1;
  head[4 * 8] = 2;
  trainer.set_parameter("embedding.weight", table);
  trainer.set_parameter("head.weight", head);
  mpx::batch one{{1, {0, 1}}, {}, "one token"};
  one.columns.push_back({"inputs", mpx::axis::target, false, {3}});
  one.columns.push_back({"targets", mpx::axis::target, false, {4}});
  one.columns.push_back({"target_lengths", mpx::axis::target, true, {1}});

  double const all = std::log(std::exp(2.0) + 12);  // log of the softmax's sum
  double const target = all - 2, mean = all - 2.0 / 13;
  CHECK(trainer.evaluate(one) == Approx(target).epsilon(1e-12));
  CHECK(trainer.step(one).loss == Approx(0.75 * target + 0.25 * mean).epsilon(1e-12));
}

TEST_CASE("padded targets count nothing: neither in the mean, nor in a gradient", "[layer][cross_entropy]") {
  trainer_type trainer{{.lr = {.peak = 0}, .dropout = 0}};
  test::spread_parameters(trainer);
  mpx::batch padded{{2, {0, 2}}, {}, "padded"}, short_one{{2, {0, 1}}, {}, "short"};
  padded.columns.push_back({"inputs", mpx::axis::target, false, {3, 7, 5, 8}});
  padded.columns.push_back({"targets", mpx::axis::target, false, {4, -1, 6, -1}});
  padded.columns.push_back({"target_lengths", mpx::axis::target, true, {1, 1}});
  short_one.columns.push_back({"inputs", mpx::axis::target, false, {3, 5}});
  short_one.columns.push_back({"targets", mpx::axis::target, false, {4, 6}});
  short_one.columns.push_back({"target_lengths", mpx::axis::target, true, {1, 1}});

  auto const report = trainer.step(padded);
  CHECK(report.tokens == 2);
  auto const g = trainer.gradient("embedding.weight");
  std::vector<double> const with_padding(g.begin(), g.end());
  CHECK(trainer.step(short_one).loss == report.loss);
  CHECK(std::equal(g.begin(), g.end(), with_padding.begin()));
  CHECK(std::all_of(g.begin() + 7 * 8, g.begin() + 9 * 8, [](double one) { return one == 0; }));  // tokens 7 and 8
  CHECK(std::any_of(g.begin() + 3 * 8, g.begin() + 4 * 8, [](double one) { return one != 0; }));
}
