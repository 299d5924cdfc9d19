// Mirrors include/mpx/policy/schedule.hpp.
#include <mpx/policy/schedule.hpp>

#include <array>

#include <mpx_test.hpp>

namespace {

constexpr mpx::task f(int microbatch) { return {mpx::work::forward, microbatch}; }
constexpr mpx::task b(int microbatch) { return {mpx::work::backward, microbatch}; }

using gpipe3 = mpx::gpipe<mpx::microbatches<3>>;
using eager3 = mpx::one_f_one_b<mpx::microbatches<3>>;
using tasks = std::array<mpx::task, 6>;

struct without_minimum {
  static constexpr std::size_t microbatches = 1;
  static constexpr std::array<mpx::task, 2> tasks(int, int) { return {f(0), b(0)}; }
};
struct too_short {
  static constexpr std::size_t microbatches = 2;
  static constexpr std::size_t fewest_microbatches(int) { return 1; }
  static constexpr std::array<mpx::task, 2> tasks(int, int) { return {f(0), b(0)}; }
};

}  // namespace

static_assert(mpx::pipeline_schedule<gpipe3> && mpx::pipeline_schedule<eager3>);
static_assert(!mpx::pipeline_schedule<without_minimum> && !mpx::pipeline_schedule<too_short>);
static_assert(!mpx::pipeline_schedule<int>);

// Every stage of gpipe works alike.
static_assert(gpipe3::tasks(0, 2) == tasks{f(0), f(1), f(2), b(0), b(1), b(2)});
static_assert(gpipe3::tasks(1, 2) == gpipe3::tasks(0, 2));

// Three stages: the first runs all three forwards before its first backward, the last turns each around at once.
static_assert(eager3::tasks(0, 3) == tasks{f(0), f(1), f(2), b(0), b(1), b(2)});
static_assert(eager3::tasks(1, 3) == tasks{f(0), f(1), b(0), f(2), b(1), b(2)});
static_assert(eager3::tasks(2, 3) == tasks{f(0), b(0), f(1), b(1), f(2), b(2)});

TEST_CASE("gpipe works with any number of microbatches, 1F1B needs one for each stage", "[policy][schedule]") {
  CHECK(gpipe3::fewest_microbatches(8) == 1);
  CHECK(eager3::fewest_microbatches(8) == 8);
  CHECK(eager3::fewest_microbatches(1) == 1);
}
