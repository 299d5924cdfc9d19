// Mirrors include/mpx/policy/clipping.hpp.
#include <mpx/policy/clipping.hpp>

#include <cmath>
#include <limits>

#include <mpx_test.hpp>

using Catch::Matchers::WithinULP;

namespace {

struct scales_doubles {
  double scale(double norm) const { return norm; }
};
struct both_ways {
  float scale(float) const { return 1.0f; }
  float element(float gradient) const { return gradient; }
};
struct sign_only {  // what a user may add
  float element(float gradient) const { return gradient < 0.0f ? -1.0f : 1.0f; }
};

}  // namespace

static_assert(mpx::clipping_policy<mpx::no_clipping>);
static_assert(mpx::clipping_policy<mpx::clip_by_global_norm>);
static_assert(mpx::clipping_policy<mpx::clip_by_value>);
static_assert(mpx::clipping_policy<sign_only>);
static_assert(!mpx::clipping_policy<scales_doubles>);
static_assert(!mpx::clipping_policy<both_ways>);
static_assert(!mpx::clipping_policy<int>);

static_assert(mpx::clips_by_norm<mpx::clip_by_global_norm> && !mpx::clips_by_element<mpx::clip_by_global_norm>);
static_assert(mpx::clips_by_element<mpx::clip_by_value> && !mpx::clips_by_norm<mpx::clip_by_value>);

static_assert(mpx::clip_by_global_norm{.max_norm = 2.0f}.scale(8.0f) == 0.25f);
static_assert(mpx::clip_by_value{.limit = 0.5f}.element(-3.0f) == -0.5f);

TEST_CASE("no_clipping leaves every gradient alone", "[policy][clipping]") {
  CHECK(mpx::no_clipping{}.scale(0.0f) == 1.0f);
  CHECK(mpx::no_clipping{}.scale(1e30f) == 1.0f);
}

TEST_CASE("clip_by_global_norm scales by max_norm / norm above the bound", "[policy][clipping]") {
  mpx::clip_by_global_norm const policy{.max_norm = 1.0f};

  // The gradient (3, 4) has norm 5: it shrinks to (0.6, 0.8), whose norm is 1.
  CHECK_THAT(3.0f * policy.scale(5.0f), WithinULP(0.6f, 1));
  CHECK_THAT(4.0f * policy.scale(5.0f), WithinULP(0.8f, 1));
}

TEST_CASE("clip_by_global_norm leaves gradients within the bound alone", "[policy][clipping]") {
  mpx::clip_by_global_norm const policy{.max_norm = 1.0f};

  CHECK(policy.scale(0.0f) == 1.0f);
  CHECK(policy.scale(0.5f) == 1.0f);
  CHECK(policy.scale(1.0f) == 1.0f);
}

TEST_CASE("clip_by_value keeps each gradient within the limit", "[policy][clipping]") {
  mpx::clip_by_value const policy{.limit = 2.0f};

  CHECK(policy.element(5.0f) == 2.0f);
  CHECK(policy.element(-5.0f) == -2.0f);
  CHECK(policy.element(2.0f) == 2.0f);
  CHECK(policy.element(-1.5f) == -1.5f);
  CHECK(policy.element(0.0f) == 0.0f);
}

TEST_CASE("clip_by_value does not hide a NaN", "[policy][clipping]") {
  CHECK(std::isnan(mpx::clip_by_value{}.element(std::numeric_limits<float>::quiet_NaN())));
}
