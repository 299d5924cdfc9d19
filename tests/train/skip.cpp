// Steps whose gradients are not finite: counted, and as if they had not been.
#include <mpx_test.hpp>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <mpx/mpx.hpp>

#include "support/models.hpp"
#include "support/parameters.hpp"

namespace {

using model = mpx::sequential<mpx::token_embedding<13, 8, "inputs">, mpx::linear<8, 8>, mpx::activation<mpx::gelu, 8>,
                              mpx::language_head<8, 13>, mpx::cross_entropy<13>>;
template <class... Policies>
using trained = mpx::trainer<model, mpx::recipe<Policies..., mpx::warmup_linear, mpx::clip_by_global_norm,
                                                mpx::microbatch_capacity<mpx::sequences<4>, mpx::tokens<8>>>>;

mpx::batch text() { return test::make_batch(3, 5, 7); }

}  // namespace

TEST_CASE("a loss scale that overflows f16 skips every step and changes no parameter", "[train][skip]") {
  trained<mpx::f16_mixed, mpx::static_loss_scaling> trainer{
      {.lr = {.peak = 0.1f, .warmup = 10, .total = 100}, .loss_scaling = {.factor = 0x1p40f}, .dropout = 0}};
  auto const before = test::all_bytes(trainer);
  for (int s = 1; s <= 3; ++s) {
    auto const report = trainer.step(text());
    CHECK(report.skipped);
    CHECK(report.step == 0);
    CHECK(report.learning_rate == Approx(0.01));  // still that of step 1
    CHECK(report.loss_scale == 0x1p40f);
    CHECK(std::isfinite(report.loss));
    CHECK(!std::isfinite(report.gradient_norm));
    CHECK(trainer.steps() == 0);
    CHECK(trainer.skipped_steps() == s);
  }
  CHECK(test::all_bytes(trainer) == before);
}

TEST_CASE("a dynamic loss scale halves until f16 holds the gradients; the first update is then step 1",
          "[train][skip]") {
  trained<mpx::f16_mixed, mpx::dynamic_loss_scaling> trainer{{.lr = {.peak = 0.1f, .warmup = 10, .total = 100},
                                                              .loss_scaling = {.initial_scale = 0x1p24f, .interval = 2},
                                                              .dropout = 0}};
  auto const before = test::all_bytes(trainer);
  float scale = 0x1p24f;
  auto report = trainer.step(text());
  for (; report.skipped && trainer.skipped_steps() < 24; report = trainer.step(text())) {
    CHECK(report.loss_scale == scale);
    CHECK(test::all_bytes(trainer) == before);
    scale *= 0.5f;
  }
  CHECK(trainer.skipped_steps() >= 2);
  CHECK(report.loss_scale == scale);
  CHECK(report.step == 1);
  CHECK(report.learning_rate == Approx(0.01));
  CHECK(test::all_bytes(trainer) != before);

  // Two finite steps in a row double the scale.
  CHECK(trainer.step(text()).loss_scale == scale);
  CHECK(trainer.step(text()).loss_scale == 2 * scale);
}

TEST_CASE("an infinite weight skips the step; put right, training goes on as if it had not been", "[train][skip]") {
  using trainer_type = trained<mpx::f32_only, mpx::adam>;
  trainer_type::settings const settings{.lr = {.peak = 0.1f, .warmup = 10, .total = 100}, .dropout = 0};
  trainer_type trainer{settings}, untroubled{settings};
  trainer.step(text());
  untroubled.step(text());

  for (float poison : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    auto const weights = trainer.parameter("linear.weight");
    std::vector<float> const right(weights.begin(), weights.end());
    auto wrong = right;
    wrong[5] = poison;
    trainer.set_parameter("linear.weight", wrong);
    auto const before = test::all_bytes(trainer);
    CHECK(trainer.step(text()).skipped);
    CHECK(test::all_bytes(trainer) == before);
    trainer.set_parameter("linear.weight", right);
  }
  CHECK(trainer.skipped_steps() == 2);
  CHECK(trainer.steps() == 1);

  auto const after = trainer.step(text()), expected = untroubled.step(text());
  CHECK(after.step == 2);
  CHECK(after.loss == expected.loss);
  CHECK(test::all_bytes(trainer) == test::all_bytes(untroubled));
}
