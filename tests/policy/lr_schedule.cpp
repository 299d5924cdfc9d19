// Mirrors include/mpx/policy/lr_schedule.hpp.
#include <mpx/policy/lr_schedule.hpp>

#include <mpx_test.hpp>

namespace {

struct takes_a_fraction {
  double rate(double done) const { return 1.0 - done; }
};
struct step_decay {  // what a user may add
  constexpr float rate(long step) const { return step <= 100 ? 0.1f : 0.01f; }
};

constexpr mpx::warmup_linear linear{.peak = 1.0f, .warmup = 4, .total = 12, .floor = 0.5f};
constexpr mpx::warmup_cosine cosine{.peak = 1.0f, .warmup = 4, .total = 12, .floor = 0.5f};
constexpr mpx::inverse_square_root root{.peak = 1.0f, .warmup = 4};
constexpr mpx::noam annotated{.factor = 1.0f, .warmup = 4, .width = 4};
constexpr mpx::warmup_stable_decay stable{.peak = 1.0f, .warmup = 4, .decay = 4, .total = 20, .floor = 0.5f};

/// Never 0 while it warms up, never falling before the top, never rising after it, never above it.
template <class Schedule>
void rises_to_its_top_and_falls(Schedule const& schedule, long top) {
  REQUIRE(schedule.rate(1) > 0.0f);
  for (long step = 1; step < 40; ++step) {
    INFO("step " << step);
    if (step < top) {
      CHECK(schedule.rate(step) < schedule.rate(step + 1));
    } else {
      CHECK(schedule.rate(step) >= schedule.rate(step + 1));
    }
    CHECK(schedule.rate(step) <= schedule.rate(top));
  }
}

}  // namespace

static_assert(mpx::lr_schedule<mpx::constant_rate>);
static_assert(mpx::lr_schedule<mpx::warmup_linear>);
static_assert(mpx::lr_schedule<mpx::warmup_cosine>);
static_assert(mpx::lr_schedule<mpx::inverse_square_root>);
static_assert(mpx::lr_schedule<mpx::noam>);
static_assert(mpx::lr_schedule<mpx::warmup_stable_decay>);
static_assert(mpx::lr_schedule<step_decay>);
static_assert(!mpx::lr_schedule<takes_a_fraction>);
static_assert(!mpx::lr_schedule<float>);

// Straight lines are known to the compiler.
static_assert(mpx::constant_rate{.peak = 0.25f}.rate(7) == 0.25f);
static_assert(linear.rate(1) == 0.25f && linear.rate(4) == 1.0f && linear.rate(8) == 0.75f);
static_assert(stable.rate(2) == 0.5f && stable.rate(10) == 1.0f && stable.rate(18) == 0.75f);

TEST_CASE("every warmup rises to its top and falls after it", "[policy][lr_schedule]") {
  rises_to_its_top_and_falls(linear, 4);
  rises_to_its_top_and_falls(cosine, 4);
  rises_to_its_top_and_falls(root, 4);
  rises_to_its_top_and_falls(annotated, 4);
  rises_to_its_top_and_falls(stable, 4);
}

TEST_CASE("the top is exactly the peak", "[policy][lr_schedule]") {
  CHECK(mpx::warmup_linear{}.rate(2000) == 6e-4f);
  CHECK(mpx::warmup_cosine{}.rate(2000) == 6e-4f);
  CHECK(mpx::inverse_square_root{}.rate(4000) == 6e-4f);
  CHECK(mpx::warmup_stable_decay{}.rate(2000) == 6e-4f);
  CHECK(mpx::warmup_stable_decay{}.rate(90'000) == 6e-4f);
}

TEST_CASE("without a warmup the first step is at the top", "[policy][lr_schedule]") {
  CHECK(mpx::warmup_linear{.peak = 1.0f, .warmup = 0, .total = 10}.rate(1) == Approx(0.9f));
  CHECK(mpx::warmup_cosine{.peak = 1.0f, .warmup = 0, .total = 2}.rate(1) == Approx(0.5f));
  CHECK(mpx::inverse_square_root{.peak = 1.0f, .warmup = 0}.rate(1) == 1.0f);
  CHECK(mpx::inverse_square_root{.peak = 1.0f, .warmup = 0}.rate(4) == 0.5f);
  CHECK(mpx::noam{.warmup = 0, .width = 4}.rate(1) == 0.5f);
  CHECK(mpx::warmup_stable_decay{.peak = 1.0f, .warmup = 0}.rate(1) == 1.0f);
}

TEST_CASE("linear and cosine fall to the floor at total and stay there", "[policy][lr_schedule]") {
  CHECK(linear.rate(12) == 0.5f);
  CHECK(linear.rate(1000) == 0.5f);
  CHECK(cosine.rate(12) == 0.5f);
  CHECK(cosine.rate(1000) == 0.5f);
  CHECK(stable.rate(20) == 0.5f);
  CHECK(stable.rate(1000) == 0.5f);
}

TEST_CASE("cosine is half way down half way through, and slow at both ends", "[policy][lr_schedule]") {
  CHECK(cosine.rate(8) == Approx(0.75f));  // 0.5 + 0.5 * (1 + cos(pi / 2)) / 2
  // A quarter through: (1 + cos(pi / 4)) / 2 = 0.853553 of the way is left, where the line has 0.75.
  CHECK(cosine.rate(6) == Approx(0.5f + 0.5f * 0.853553f));
  CHECK(cosine.rate(6) > linear.rate(6));
  CHECK(cosine.rate(10) < linear.rate(10));
}

TEST_CASE("inverse_square_root halves when the step is four times as far", "[policy][lr_schedule]") {
  CHECK(root.rate(2) == 0.5f);
  CHECK(root.rate(16) == 0.5f);
  CHECK(root.rate(64) == 0.25f);
}

TEST_CASE("noam follows width^-0.5 * min(step^-0.5, step * warmup^-1.5)", "[policy][lr_schedule]") {
  // Width 4 and warmup 4: 1/2 * step / 8 up to step 4, then 1/2 * 1 / sqrt(step).
  CHECK(annotated.rate(1) == 0.0625f);
  CHECK(annotated.rate(4) == 0.25f);
  CHECK(annotated.rate(16) == 0.125f);
  // The paper's own: 1 / sqrt(512 * 4000) at step 4000.
  CHECK(mpx::noam{.width = 512}.rate(4000) == Approx(6.98771e-4f));
  CHECK(mpx::noam{.factor = 2.0f, .warmup = 4, .width = 4}.rate(4) == 0.5f);
}

TEST_CASE("noam refuses to guess the model's width", "[policy][lr_schedule]") {
  CHECK_THROWS_AS(mpx::noam{}.rate(1), mpx::error);
  CHECK_THROWS_WITH(mpx::noam{}.rate(1),
                    "the noam schedule needs the model's width (noam::width): expected 1 or more, got 0");
}

TEST_CASE("warmup_stable_decay is level between warmup and decay", "[policy][lr_schedule]") {
  for (long step = 4; step <= 16; ++step) CHECK(stable.rate(step) == 1.0f);
  CHECK(stable.rate(17) == 0.875f);
}

TEST_CASE("a schedule whose warmup reaches into its decay never divides by zero", "[policy][lr_schedule]") {
  mpx::warmup_linear const all_warmup{.peak = 1.0f, .warmup = 10, .total = 10};
  CHECK(all_warmup.rate(10) == 1.0f);
  CHECK(all_warmup.rate(11) == 0.0f);
  mpx::warmup_stable_decay const no_level{.peak = 1.0f, .warmup = 10, .decay = 10, .total = 10};
  CHECK(no_level.rate(5) == 0.5f);
  CHECK(no_level.rate(9) == Approx(0.1f));
}
