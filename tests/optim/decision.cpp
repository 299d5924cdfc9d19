#include <mpx_test.hpp>

#include <cmath>
#include <limits>

#include <mpx/optim/decision.hpp>

namespace {

constexpr float inf = std::numeric_limits<float>::infinity();
constexpr float no_number = std::numeric_limits<float>::quiet_NaN();

}  // namespace

TEST_CASE("the norm is that of the unscaled gradients, and the factor undoes the loss scale", "[optim][decision]") {
  // Scaled by 4, the gradient (3, 4) is (12, 16): 400 squared and summed.
  auto const d = mpx::decide_update(mpx::no_clipping{}, 400.0f, 1.0f, 4.0f);
  CHECK(d.finite);
  CHECK(d.norm == 5);
  CHECK(d.factor == 0.25f);
}

TEST_CASE("clipping by the norm shrinks what is already unscaled", "[optim][decision]") {
  auto const above = mpx::decide_update(mpx::clip_by_global_norm{.max_norm = 1}, 400.0f, 1.0f, 4.0f);
  CHECK(above.norm == 5);  // as it was before clipping
  CHECK(above.factor == Approx(0.25f / 5));
  auto const below = mpx::decide_update(mpx::clip_by_global_norm{.max_norm = 10}, 400.0f, 1.0f, 4.0f);
  CHECK(below.factor == 0.25f);
}

TEST_CASE("clipping by value leaves the factor alone and bounds each element", "[optim][decision]") {
  CHECK(mpx::decide_update(mpx::clip_by_value{.limit = 1}, 400.0f, 1.0f, 4.0f).factor == 0.25f);

  mpx::element_bound<mpx::clip_by_value> const bound{{.limit = 0.5f}};
  CHECK(bound(0.7f) == 0.5f);
  CHECK(bound(-3.0) == -0.5);
  CHECK(bound(0.25f) == 0.25f);
  mpx::element_bound<mpx::clip_by_global_norm> const none{};
  CHECK(none(1e30f) == 1e30f);
}

TEST_CASE("a gradient or a loss that is not finite skips the step", "[optim][decision]") {
  mpx::clip_by_global_norm const clipping{};
  for (float bad : {inf, no_number}) {
    CHECK(!mpx::decide_update(clipping, bad, 1.0f, 1.0f).finite);
    CHECK(!mpx::decide_update(clipping, 1.0f, bad, 1.0f).finite);
  }
  CHECK(!mpx::decide_update(clipping, 1.0f, -inf, 1.0f).finite);
  CHECK(mpx::decide_update(clipping, 0.0f, 0.0f, 1.0f).finite);
  CHECK(mpx::decide_update(clipping, 0.0f, 0.0f, 1.0f).factor == 1);  // a gradient of zero is not divided by its norm
}

TEST_CASE("sums in f64 are decided in f64", "[optim][decision]") {
  auto const d = mpx::decide_update(mpx::no_clipping{}, 1e60, 1.0, 1.0f);
  CHECK(d.finite);  // as an f32 it would not be
  CHECK(d.norm == Approx(1e30f));
}
