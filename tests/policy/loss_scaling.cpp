// Mirrors include/mpx/policy/loss_scaling.hpp.
#include <mpx/policy/loss_scaling.hpp>

#include <string>
#include <string_view>
#include <vector>

#include <mpx_test.hpp>

namespace {

struct scale_takes_no_state {
  struct state {};
  state initial() const { return {}; }
  float scale() const { return 1.0f; }
  state next(state const& now, bool) const { return now; }
};
struct state_cannot_be_stored {
  struct state {
    std::string text;
  };
  state initial() const { return {}; }
  float scale(state const&) const { return 1.0f; }
  state next(state const& now, bool) const { return now; }
};

/// The scales after each step of a history such as "..x", x a step with a non-finite gradient.
std::vector<float> scales_after(mpx::dynamic_loss_scaling const& policy, std::string_view history) {
  std::vector<float> scales;
  auto now = policy.initial();
  for (char step : history) {
    now = policy.next(now, step == '.');
    scales.push_back(policy.scale(now));
  }
  return scales;
}

using scales = std::vector<float>;

constexpr mpx::dynamic_loss_scaling small{.initial_scale = 8.0f, .interval = 3};

constexpr float scale_after_three_finite_steps() {
  auto now = small.initial();
  for (int step = 0; step < 3; ++step) now = small.next(now, true);
  return small.scale(now);
}

}  // namespace

static_assert(mpx::loss_scaling_policy<mpx::no_loss_scaling>);
static_assert(mpx::loss_scaling_policy<mpx::static_loss_scaling>);
static_assert(mpx::loss_scaling_policy<mpx::dynamic_loss_scaling>);
static_assert(!mpx::loss_scaling_policy<scale_takes_no_state>);
static_assert(!mpx::loss_scaling_policy<state_cannot_be_stored>);
static_assert(!mpx::loss_scaling_policy<int>);

static_assert(scale_after_three_finite_steps() == 16.0f);
static_assert(mpx::dynamic_loss_scaling{}.initial().scale == 65536.0f);

TEST_CASE("no and static loss scaling give one scale whatever happens", "[policy][loss_scaling]") {
  mpx::no_loss_scaling const none;
  mpx::static_loss_scaling const fixed{.factor = 256.0f};
  CHECK(none.scale(none.next(none.initial(), false)) == 1.0f);
  CHECK(fixed.scale(fixed.next(fixed.initial(), false)) == 256.0f);
  CHECK(fixed.scale(fixed.next(fixed.initial(), true)) == 256.0f);
}

TEST_CASE("dynamic scaling doubles after `interval` finite steps in a row", "[policy][loss_scaling]") {
  CHECK(scales_after(small, ".......") == scales{8, 8, 16, 16, 16, 32, 32});
}

TEST_CASE("dynamic scaling halves at once and starts counting again", "[policy][loss_scaling]") {
  // Two finite steps before the overflow do not count towards the next growth.
  CHECK(scales_after(small, "..x...") == scales{8, 8, 4, 4, 4, 8});
  CHECK(scales_after(small, "xx") == scales{4, 2});
}

TEST_CASE("dynamic scaling forgives hysteresis - 1 overflows between two growths", "[policy][loss_scaling]") {
  auto forgiving = small;
  forgiving.hysteresis = 2;
  CHECK(scales_after(forgiving, "xx") == scales{8, 4});
  CHECK(scales_after(forgiving, "xxx") == scales{8, 4, 2});      // used up: shrinks every time
  CHECK(scales_after(forgiving, "x.x") == scales{8, 8, 4});      // one finite step brings nothing back
  CHECK(scales_after(forgiving, "x...x") == scales{8, 8, 8, 16, 16});  // growth does
  CHECK(scales_after(forgiving, "x...xx") == scales{8, 8, 8, 16, 16, 8});
}

TEST_CASE("dynamic scaling stays within its minimum and maximum", "[policy][loss_scaling]") {
  auto narrow = small;
  narrow.interval = 1;
  narrow.minimum = 4.0f;
  narrow.maximum = 16.0f;
  CHECK(scales_after(narrow, "...") == scales{16, 16, 16});
  CHECK(scales_after(narrow, "xxx") == scales{4, 4, 4});
}

TEST_CASE("dynamic scaling resumes from a stored state", "[policy][loss_scaling]") {
  auto const whole = small.next(small.next(small.next(small.initial(), true), false), true);
  auto const stored = small.next(small.next(small.initial(), true), false);
  CHECK(small.next(stored, true) == whole);
  CHECK(whole == mpx::dynamic_loss_scaling::state{.scale = 4.0f, .finite_steps = 1, .forgiveness = 0});
}

TEST_CASE("dynamic scaling survives a run that never recovers", "[policy][loss_scaling]") {
  auto now = small.initial();
  for (int step = 0; step < 1000; ++step) now = small.next(now, false);
  CHECK(now == mpx::dynamic_loss_scaling::state{.scale = 1.0f, .finite_steps = 0, .forgiveness = 0});
}
