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

constexpr mpx::task f(int microbatch, int chunk) { return {mpx::work::forward, microbatch, chunk}; }
constexpr mpx::task b(int microbatch, int chunk) { return {mpx::work::backward, microbatch, chunk}; }

using dealt2 = mpx::interleaved<mpx::microbatches<2>, mpx::chunks<2>>;
using eight_tasks = std::array<mpx::task, 8>;

struct undealt {
  static constexpr std::size_t microbatches = 1, chunks = 1;
  static constexpr std::size_t fewest_microbatches(int) { return 1; }
  static constexpr std::array<mpx::task, 2> tasks(int, int) { return {f(0), b(0)}; }
};

}  // namespace

static_assert(mpx::pipeline_schedule<dealt2> && mpx::chunks_of<dealt2> == 2 && mpx::chunks_of<gpipe3> == 1);
static_assert(!mpx::pipeline_schedule<undealt>);
// Two devices, stages 0 1 0 1. The second device turns its later stage around at once.
static_assert(dealt2::device_of(2, 2) == 0 && dealt2::device_of(3, 2) == 1);
static_assert(dealt2::tasks(0, 2) == eight_tasks{f(0, 0), f(1, 0), f(0, 1), f(1, 1), b(0, 1), b(1, 1), b(0, 0), b(1, 0)});
static_assert(dealt2::tasks(1, 2) == eight_tasks{f(0, 0), f(1, 0), f(0, 1), b(0, 1), f(1, 1), b(1, 1), b(0, 0), b(1, 0)});
// Whole groups alone: as many microbatches as the devices, or a multiple.
static_assert(dealt2::fewest_microbatches(4) == 2 && dealt2::fewest_microbatches(8) == 4);
static_assert(mpx::interleaved<mpx::microbatches<20>, mpx::chunks<2>>::fewest_microbatches(16) == 24);

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
