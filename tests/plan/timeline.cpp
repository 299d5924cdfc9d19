// Mirrors include/mpx/plan/timeline.hpp: the replay takes as long as the run on paper that made the lists.
#include <mpx/plan/timeline.hpp>

#include <array>
#include <utility>

#include <models.hpp>
#include <mpx/plan/plan.hpp>
#include <mpx_test.hpp>

namespace {

constexpr std::size_t depth = mpx::channel_depth;

template <std::size_t M> using one_f_one_b = mpx::one_f_one_b<mpx::microbatches<M>>;
template <std::size_t M> using gpipe = mpx::gpipe<mpx::microbatches<M>>;

/// Lists and timeline of stages that stand on these devices.
template <class Schedule, std::size_t Devices, std::size_t Stages>
constexpr auto run(std::array<std::size_t, Stages> const& device_of_stage, std::array<double, Stages> const& forward,
                   std::array<double, Stages> const& backward, std::size_t places = depth) {
  auto const lists = mpx::make_actions<Schedule, Devices>(device_of_stage, places, forward, backward);
  auto const times = mpx::make_timeline(lists, places, forward, backward);
  return std::pair{lists, times};
}

template <class Times> bool works_without_overlap(Times const& times) {
  for (std::size_t i = 1; i < times.work.size(); ++i) {
    auto const& before = times.work[i - 1];
    if (before.device == times.work[i].device && times.work[i].begin < before.end) return false;
  }
  return true;
}

/// A forward begins when the stage before has ended it; a backward when the stage after has.
template <class Times> bool follows_its_input(Times const& times) {
  for (auto const& now : times.work)
    for (auto const& other : times.work) {
      if (now.kind != other.kind || now.microbatch != other.microbatch) continue;
      bool const gives = now.kind == mpx::work::forward ? other.stage + 1 == now.stage : other.stage == now.stage + 1;
      if (gives && now.begin < other.end) return false;
    }
  return true;
}

// Two stages, two microbatches, forward 1 and backward 2:
//   device 0  F0 F1 .  B0 B0 B1 B1 ...    device 1  .  F0 B0 B0 F1 B1 B1
// The first backward of device 0 waits until device 1 has done F0 and B0: 2 + 2 = 4.
constexpr auto two = run<one_f_one_b<2>, 2>(std::array<std::size_t, 2>{0, 1}, {1.0, 1.0}, {2.0, 2.0}).second;
static_assert(two.work.size() == 8);
static_assert(two.work[0] == mpx::timed_work{0, 0, 0, mpx::work::forward, 0, 1});
static_assert(two.work[1] == mpx::timed_work{0, 0, 1, mpx::work::forward, 1, 2});
static_assert(two.work[2] == mpx::timed_work{0, 0, 0, mpx::work::backward, 4, 6});
static_assert(two.work[3] == mpx::timed_work{0, 0, 1, mpx::work::backward, 7, 9});
static_assert(two.work[4] == mpx::timed_work{1, 1, 0, mpx::work::forward, 1, 2});
static_assert(two.work[5] == mpx::timed_work{1, 1, 0, mpx::work::backward, 2, 4});
static_assert(two.work[6] == mpx::timed_work{1, 1, 1, mpx::work::forward, 4, 5});
static_assert(two.work[7] == mpx::timed_work{1, 1, 1, mpx::work::backward, 5, 7});
static_assert(two.makespan == 9 && two.busy[0] == 6 && two.busy[1] == 6);

using recipe = mpx::recipe<mpx::place_evenly<3>, one_f_one_b<6>, mpx::bf16_mixed,
                           mpx::microbatch_capacity<mpx::sequences<2>, mpx::source_tokens<8>, mpx::target_tokens<8>>>;
constexpr auto& plan = mpx::plan_v<test::small_seq2seq, recipe>;

}  // namespace

TEST_CASE("equal stages idle for (S - 1) / (M + S - 1) of the time", "[plan][timeline]") {
  constexpr auto lists = mpx::make_actions<one_f_one_b<8>, 4>(std::array<std::size_t, 4>{0, 1, 2, 3}, depth,
                                                              {1.0, 1.0, 1.0, 1.0}, {2.0, 2.0, 2.0, 2.0});
  constexpr auto times = mpx::make_timeline(lists, depth);
  CHECK(times.makespan == 3 * (8 + 3));
  CHECK(times.idle_share() == Approx(3.0 / 11));
  CHECK(lists.makespan == times.makespan);
}

TEST_CASE("a timeline ends when the run on paper does, whatever the costs", "[plan][timeline]") {
  auto const check = [](auto const& both) {
    auto const& [lists, times] = both;
    REQUIRE(lists.fault == mpx::schedule_fault::none);
    CHECK(times.makespan == lists.makespan);
    CHECK(times.idle_share() == Approx(lists.idle_share).margin(1e-12));
    CHECK(works_without_overlap(times));
    CHECK(follows_its_input(times));
  };
  // Small whole numbers: their sums are exact in any order.
  for (int seed = 0; seed < 50; ++seed) {
    auto const cost = [&](int i) { return static_cast<double>(1 + (seed * 7 + i * i * 5 + seed * i) % 9); };
    std::array<double, 4> const forward{cost(1), cost(2), cost(3), cost(4)},
        backward{cost(5), cost(6), cost(7), cost(8)};
    for (std::size_t places = 1; places <= 3; ++places) {
      check(run<one_f_one_b<6>, 4>(std::array<std::size_t, 4>{0, 1, 2, 3}, forward, backward, places));
      check(run<one_f_one_b<6>, 2>(std::array<std::size_t, 4>{0, 1, 0, 1}, forward, backward, places));
      check(run<gpipe<3>, 3>(std::array<std::size_t, 4>{0, 1, 2, 0}, forward, backward, places));
    }
  }
}

TEST_CASE("a plan's own times come back from its lists", "[plan][timeline]") {
  std::array<double, 3> forward{}, backward{};
  for (std::size_t s = 0; s < 3; ++s) {
    forward[s] = plan.stages[s].forward_flops;
    backward[s] = 2 * forward[s];
  }
  auto const times = mpx::make_timeline(plan.actions, depth, forward, backward);
  CHECK(times.work.size() == 2 * 3 * 6);
  CHECK(times.makespan == Approx(plan.actions.makespan));
  CHECK(times.idle_share() == Approx(plan.idle_share()));
}

TEST_CASE("one stage works without a pause", "[plan][timeline]") {
  auto const [lists, times] = run<gpipe<3>, 1>(std::array<std::size_t, 1>{0}, {1.0}, {2.0});
  CHECK(times.makespan == 9);
  CHECK(times.idle_share() == 0);
  CHECK(times.work.back() == mpx::timed_work{0, 0, 2, mpx::work::backward, 7, 9});
}
