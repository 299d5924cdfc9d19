// Mirrors include/mpx/plan/actions.hpp.
#include <mpx/plan/actions.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <deque>
#include <utility>
#include <vector>

#include <mpx/plan/memory.hpp>
#include <mpx/policy/zero_bubble.hpp>

#include <mpx_test.hpp>

namespace {

using mpx::action_kind;
using mpx::schedule_fault;

/// Equal stages on devices; a forward takes 1, a backward 2 and each half of it 1.
template <class Schedule, std::size_t Devices, std::size_t Stages, class DeviceOf>
constexpr auto lists_on(DeviceOf device_of) {
  std::array<std::size_t, Stages> device{};
  std::array<double, Stages> one{}, two{};
  for (std::size_t s = 0; s < Stages; ++s) {
    device[s] = device_of(s);
    one[s] = 1;
    two[s] = 2;
  }
  return mpx::make_actions<Schedule, Devices>(device, mpx::channel_depth, one, two);
}
constexpr auto own = [](std::size_t stage) { return stage; };  // device of each stage

template <class Schedule, std::size_t Stages>
constexpr auto lists_of = lists_on<Schedule, Stages, Stages>(own);
template <std::size_t P, std::size_t M>
constexpr auto& gpipe = lists_of<mpx::gpipe<mpx::microbatches<M>>, P>;
template <std::size_t P, std::size_t M>
constexpr auto& eager = lists_of<mpx::one_f_one_b<mpx::microbatches<M>>, P>;

/// Copies of a stage's tensors that microbatches take and give back: is each taken once, from those that there are, and
/// never by two at a time?
struct copies {
  std::vector<int> of;
  std::vector<bool> taken, given_back;
  explicit copies(std::size_t m) : of(m, -1), taken(m), given_back(m) {}

  bool take(std::size_t m, int copy, std::size_t count) {
    auto const at = static_cast<std::size_t>(copy);
    if (of[m] != -1 || at >= count || taken[at]) return false;
    of[m] = copy;
    return taken[at] = true;
  }
  bool give_back(std::size_t m, int copy) {
    if (of[m] != copy || given_back[m]) return false;
    taken[static_cast<std::size_t>(copy)] = false;
    return given_back[m] = true;
  }
  [[nodiscard]] bool all_given_back() const {
    return std::count(given_back.begin(), given_back.end(), true) == static_cast<std::ptrdiff_t>(given_back.size());
  }
};

/// Does every stage run each forward once, and later its backward once, whole or both halves, on the same slot; and do no
/// two microbatches that are in flight share a slot, nor what the first halves leave to the second ones?
template <std::size_t S, std::size_t D, std::size_t M, std::size_t Tasks>
bool complete(mpx::action_lists<S, D, M, Tasks> const& lists) {
  if (lists.fault != schedule_fault::none || lists.begin[D] != lists.actions.size()) return false;
  for (std::size_t s = 0; s < S; ++s) {
    copies slots(M), deferred(M);
    for (auto const& a : lists.actions) {
      if (a.stage != static_cast<int>(s)) continue;
      auto const m = static_cast<std::size_t>(a.microbatch);
      bool const sound = a.kind == action_kind::forward          ? slots.take(m, a.slot, lists.slots[s])
                         : a.kind == action_kind::backward       ? slots.give_back(m, a.slot)
                         : a.kind == action_kind::backward_input ? slots.of[m] == a.slot && deferred.take(m, a.deferred, lists.deferred[s])
                         : a.kind == action_kind::backward_weights
                             ? deferred.give_back(m, a.deferred) && slots.give_back(m, a.slot)
                             : true;
      if (!sound) return false;
    }
    if (!slots.all_given_back() || (Tasks == 3 && !deferred.all_given_back())) return false;
  }
  return true;
}

/// Runs the lists as the devices would, each at its own pace: blocking sends and receives on channels of the given depth.
template <std::size_t S, std::size_t D, std::size_t M, std::size_t Tasks>
bool runs_to_its_end(mpx::action_lists<S, D, M, Tasks> const& lists, std::size_t depth) {
  std::array<std::deque<int>, S> forward, backward;  // channels after stage s
  std::array<std::size_t, D> next{};
  for (std::size_t d = 0; d < D; ++d) next[d] = lists.begin[d];
  for (bool moved = true; moved;) {
    moved = false;
    for (std::size_t d = 0; d < D; ++d) {
      if (next[d] == lists.begin[d + 1]) continue;
      auto const& a = lists.actions[next[d]];
      auto const s = static_cast<std::size_t>(a.stage);
      auto const send = [&](std::deque<int>& channel) {
        if (channel.size() == depth) return false;
        channel.push_back(a.microbatch);
        return true;
      };
      auto const receive = [&](std::deque<int>& channel) {
        if (channel.empty()) return false;
        REQUIRE(channel.front() == a.microbatch);
        channel.pop_front();
        return true;
      };
      bool const done = a.kind == action_kind::send_forward       ? send(forward[s])
                        : a.kind == action_kind::send_backward    ? send(backward[s - 1])
                        : a.kind == action_kind::receive_forward  ? receive(forward[s - 1])
                        : a.kind == action_kind::receive_backward ? receive(backward[s])
                                                                  : true;
      next[d] += done;
      moved = moved || done;
    }
  }
  for (std::size_t d = 0; d < D; ++d)
    if (next[d] != lists.begin[d + 1]) return false;
  return true;
}

/// A schedule of two microbatches whose stages work through the tasks given for each.
template <class Lists>
struct of_two {
  static constexpr std::size_t microbatches = 2;
  static constexpr std::size_t fewest_microbatches(int) { return 1; }
  static constexpr std::array<mpx::task, 4> tasks(int stage, int) { return Lists::tasks[stage]; }
};
constexpr mpx::task f0{mpx::work::forward, 0}, f1{mpx::work::forward, 1}, b0{mpx::work::backward, 0}, b1{mpx::work::backward, 1};
using table = std::array<std::array<mpx::task, 4>, 2>;

struct twice_back { static constexpr table tasks{{{f0, f1, b0, b0}, {f0, f1, b0, b1}}}; };
struct twice_forth { static constexpr table tasks{{{f0, f1, b0, b1}, {f0, f0, b0, b1}}}; };
struct back_first { static constexpr table tasks{{{f0, f1, b0, b1}, {f0, b1, f1, b0}}}; };
struct third_one { static constexpr table tasks{{{f0, f1, b0, {mpx::work::backward, 2}}, {f0, f1, b0, b1}}}; };
struct crossed { static constexpr table tasks{{{f0, f1, b1, b0}, {f0, f1, b0, b1}}}; };
struct swapped { static constexpr table tasks{{{f0, f1, b0, b1}, {f1, f0, b0, b1}}}; };
struct reversed { static constexpr table tasks{{{f0, f1, b1, b0}, {f0, f1, b1, b0}}}; };

template <class Lists>
constexpr auto& two_stages = lists_of<of_two<Lists>, 2>;
template <class Lists>
constexpr bool has_fault(schedule_fault fault, int stage, int microbatch) {
  auto const& l = two_stages<Lists>;
  return l.fault == fault && l.fault_stage == stage && l.fault_microbatch == microbatch;
}

}  // namespace

// One stage has nothing to send.
static_assert(gpipe<1, 2>.actions == std::array<mpx::action, 4>{{{action_kind::forward, 0, 0, 0}, {action_kind::forward, 0, 1, 1},
                                                                 {action_kind::backward, 0, 0, 0}, {action_kind::backward, 0, 1, 1}}});
// The last of two 1F1B stages: receive, forward, backward, send; one slot is enough.
static_assert([] {
  auto const& l = eager<2, 2>;
  std::array<mpx::action, 4> const first{{{action_kind::receive_forward, 1, 0, 0}, {action_kind::forward, 1, 0, 0},
                                          {action_kind::backward, 1, 0, 0}, {action_kind::send_backward, 1, 0, 0}}};
  return std::equal(first.begin(), first.end(), l.actions.begin() + static_cast<std::ptrdiff_t>(l.begin[1]));
}());

// What a list must not be.
static_assert(has_fault<twice_back>(schedule_fault::repeated, 0, 0));
static_assert(has_fault<twice_forth>(schedule_fault::repeated, 1, 0));
static_assert(has_fault<back_first>(schedule_fault::backward_first, 1, 1));
static_assert(has_fault<third_one>(schedule_fault::repeated, 0, 2));
static_assert(has_fault<crossed>(schedule_fault::deadlock, 0, 1));
static_assert(has_fault<swapped>(schedule_fault::deadlock, 0, 0));
// Both stages backwards in the same new order: unusual, and sound.
static_assert(two_stages<reversed>.fault == schedule_fault::none);

// Time, with stages of equal cost: the pipeline fills and drains once, p - 1 stages of m + p - 1.
static_assert(gpipe<1, 4>.idle_share == 0 && eager<1, 4>.idle_share == 0);
static_assert(gpipe<4, 8>.makespan == 3.0 * (8 + 3) && eager<4, 8>.makespan == 3.0 * (8 + 3));

namespace {

template <std::size_t P, std::size_t M>
void check_both() {
  INFO("stages " << P << ", microbatches " << M);
  for (auto const* lists : {&gpipe<P, M>, &eager<P, M>}) {
    CHECK(complete(*lists));
    CHECK(runs_to_its_end(*lists, mpx::channel_depth));
    CHECK(lists->idle_share == Approx((P - 1.0) / (M + P - 1.0)));
    CHECK(lists->makespan == Approx(3.0 * (M + P - 1)));
  }
  for (std::size_t s = 0; s < P; ++s) {
    CHECK(gpipe<P, M>.slots[s] == M);
    CHECK(eager<P, M>.slots[s] == std::min(M, P - s));
  }
}

}  // namespace

// All combinations of devices and microbatches up to 16 of the ones and 64 of the others would compile for minutes: these
// are their corners, and what lies between.
TEST_CASE("gpipe and 1F1B run every forward once and then its backward, to the end", "[plan][actions]") {
  check_both<1, 1>();
  check_both<1, 4>();
  check_both<2, 2>();
  check_both<2, 3>();
  check_both<2, 8>();
  check_both<3, 3>();
  check_both<3, 8>();
  check_both<4, 4>();
  check_both<4, 8>();
  check_both<4, 16>();
  check_both<8, 8>();
}

namespace {

template <std::size_t P, std::size_t M>
void check_both_at_run_time() {
  INFO("stages " << P << ", microbatches " << M);
  auto const check = [](auto const& lists) {
    CHECK(complete(lists));
    CHECK(runs_to_its_end(lists, mpx::channel_depth));
    CHECK(lists.idle_share == Approx((P - 1.0) / (M + P - 1.0)));
  };
  check(lists_on<mpx::gpipe<mpx::microbatches<M>>, P, P>(own));
  auto const lists = lists_on<mpx::one_f_one_b<mpx::microbatches<M>>, P, P>(own);
  check(lists);
  for (std::size_t s = 0; s < P; ++s) CHECK(lists.slots[s] == std::min(M, P - s));
}

}  // namespace

TEST_CASE("so do they on up to 16 stages with up to 64 microbatches", "[plan][actions]") {
  check_both_at_run_time<8, 16>();
  check_both_at_run_time<8, 32>();
  check_both_at_run_time<8, 64>();
  check_both_at_run_time<16, 16>();
  check_both_at_run_time<16, 32>();
  check_both_at_run_time<16, 64>();
}

namespace {

/// Split backwards: V stages to each of P devices; a forward takes 1 and each half of a backward too.
template <template <class> class Schedule, std::size_t V, std::size_t P, std::size_t M>
void check_zero_bubble() {
  INFO("devices " << P << ", microbatches " << M);
  auto const in_a_v = [](std::size_t s) { return s < P ? s : 2 * P - 1 - s; };
  auto const lists = lists_on<Schedule<mpx::microbatches<M>>, P, P * V>(in_a_v);
  REQUIRE(lists.fault == schedule_fault::none);
  CHECK(complete(lists));
  CHECK(runs_to_its_end(lists, mpx::channel_depth));
  // The last device cannot begin before the first microbatch has passed the others: nothing ends earlier than this.
  CHECK(lists.makespan == 3.0 * V * M + P - 1);
  CHECK(lists.idle_share == Approx((P - 1.0) / (3 * V * M + P - 1)));
  for (std::size_t d = 0; d < P; ++d) CHECK(lists.in_flight(d) == V * std::min(M, P));
}

template <template <class> class Schedule, std::size_t V>
void check_zero_bubble_everywhere() {
  check_zero_bubble<Schedule, V, 1, 1>();
  check_zero_bubble<Schedule, V, 1, 4>();
  check_zero_bubble<Schedule, V, 2, 2>();
  check_zero_bubble<Schedule, V, 2, 4>();
  check_zero_bubble<Schedule, V, 3, 5>();
  check_zero_bubble<Schedule, V, 4, 4>();
  check_zero_bubble<Schedule, V, 4, 8>();
  check_zero_bubble<Schedule, V, 4, 16>();
  check_zero_bubble<Schedule, V, 8, 16>();
  check_zero_bubble<Schedule, V, 8, 32>();
  check_zero_bubble<Schedule, V, 8, 64>();
  check_zero_bubble<Schedule, V, 16, 16>();
  check_zero_bubble<Schedule, V, 16, 64>();
}

}  // namespace

TEST_CASE("zb_h1 takes 3 M + p - 1, in 1F1B's memory", "[plan][actions]") {
  check_zero_bubble_everywhere<mpx::zb_h1, 1>();
  // What first halves leave to second ones is kept for as many microbatches as the stage stands from the first one.
  auto const lists = lists_on<mpx::zb_h1<mpx::microbatches<8>>, 4, 4>(own);
  CHECK(lists.slots == std::array<std::size_t, 4>{4, 4, 4, 4});
  CHECK(lists.deferred == std::array<std::size_t, 4>{1, 2, 3, 4});
}

TEST_CASE("zb_v takes 6 M + p - 1 with two stages on each device", "[plan][actions]") {
  check_zero_bubble_everywhere<mpx::zb_v, 2>();
}

TEST_CASE("a schedule that splits backwards has both halves of each, in their order", "[plan][actions]") {
  using enum mpx::work;
  struct list {
    std::array<mpx::task, 6> tasks;
    schedule_fault fault;
  };
  static constexpr list lists[]{
      {{{{forward, 0}, {backward_input, 0}, {forward, 1}, {backward_weights, 0}, {backward_input, 1}, {backward_weights, 1}}}, schedule_fault::none},
      {{{{forward, 0}, {backward_weights, 0}, {forward, 1}, {backward_input, 0}, {backward_input, 1}, {backward_weights, 1}}}, schedule_fault::backward_first},
      {{{{forward, 0}, {backward_input, 0}, {forward, 1}, {backward_weights, 0}, {backward_weights, 0}, {backward_weights, 1}}}, schedule_fault::repeated},
      {{{{forward, 0}, {backward_input, 0}, {forward, 1}, {backward, 0}, {backward_input, 1}, {backward_weights, 1}}}, schedule_fault::repeated}};
  for (auto const& [tasks, fault] : lists) {
    mpx::task faulty;
    CHECK(mpx::detail::check_tasks<2, 1, 3>(tasks, faulty) == fault);
  }
  // Nor has one that does not split them a half.
  mpx::task faulty;
  CHECK(mpx::detail::check_tasks<1, 1, 2>({{{forward, 0}, {backward_input, 0}}}, faulty) == schedule_fault::repeated);
}

namespace {

/// Stages dealt to P devices, V to each; a forward takes 1, a backward 2. Run, not compiled: the lists are long.
template <std::size_t P, std::size_t M, std::size_t V>
void check_interleaved() {
  INFO("devices " << P << ", microbatches " << M << ", chunks " << V);
  auto const lists = lists_on<mpx::interleaved<mpx::microbatches<M>, mpx::chunks<V>>, P, P * V>([](std::size_t s) { return s % P; });
  REQUIRE(lists.fault == schedule_fault::none);
  CHECK(complete(lists));
  CHECK(runs_to_its_end(lists, mpx::channel_depth));
  // A device is busy for 3 M V; what it idles is what 1F1B idles over stages V times as long, 3 V (P - 1), divided by V.
  CHECK(lists.makespan == 3.0 * (V * M + P - 1));
  CHECK(lists.idle_share == Approx((P - 1.0) / (V * M + P - 1.0)));
  for (std::size_t d = 0; d < P; ++d) {
    for (std::size_t i = lists.begin[d]; i < lists.begin[d + 1]; ++i) CHECK(static_cast<std::size_t>(lists.actions[i].stage) % P == d);
    CHECK(lists.in_flight(d) == std::min(V * M, 2 * (P - d - 1) + (V - 1) * P + 1));
  }
}

}  // namespace

TEST_CASE("interleaved stages idle for 1 / V of the time that 1F1B does, with channels as they are", "[plan][actions]") {
  check_interleaved<1, 3, 2>();
  check_interleaved<2, 2, 2>();
  check_interleaved<2, 4, 1>();
  check_interleaved<2, 4, 3>();
  check_interleaved<4, 4, 2>();
  check_interleaved<4, 8, 2>();
  check_interleaved<4, 16, 4>();
  check_interleaved<8, 16, 2>();
  check_interleaved<8, 32, 3>();
  check_interleaved<8, 64, 2>();
  check_interleaved<16, 64, 2>();
  check_interleaved<16, 64, 4>();
}

TEST_CASE("a fault names the stage of its chunk", "[plan][actions]") {
  struct twice_on_the_third_stage : mpx::interleaved<mpx::microbatches<2>, mpx::chunks<2>> {
    static constexpr std::array<mpx::task, 8> tasks(int device, int devices) {
      auto list = mpx::interleaved<mpx::microbatches<2>, mpx::chunks<2>>::tasks(device, devices);
      if (device == 0) list[3] = list[2];
      return list;
    }
  };
  std::array<double, 4> const cost{1, 1, 1, 1};
  auto const lists = mpx::make_actions<twice_on_the_third_stage, 2>(std::array<std::size_t, 4>{0, 1, 0, 1}, 2, cost, cost);
  CHECK(lists.fault == schedule_fault::repeated);
  CHECK(lists.fault_stage == 2);
  CHECK(lists.fault_microbatch == 0);
}

TEST_CASE("1F1B with fewer microbatches than stages keeps no more than there are", "[plan][actions]") {
  auto const& lists = eager<4, 2>;
  CHECK(complete(lists));
  CHECK(lists.slots == std::array<std::size_t, 4>{2, 2, 2, 1});
}

TEST_CASE("channels of depth 1 are enough, and none is no channel", "[plan][actions]") {
  std::array<double, 2> const cost{1, 1};
  using schedule = mpx::one_f_one_b<mpx::microbatches<4>>;
  auto const narrow = mpx::make_actions<schedule, 2>(std::array<std::size_t, 2>{0, 1}, 1, cost, cost);
  CHECK(narrow.fault == schedule_fault::none);
  CHECK(runs_to_its_end(narrow, 1));
  auto const closed = mpx::make_actions<schedule, 2>(std::array<std::size_t, 2>{0, 1}, 0, cost, cost);
  CHECK(closed.fault == schedule_fault::deadlock);
}

TEST_CASE("a list without one of its actions does not come to its end", "[plan][actions]") {
  std::array<double, 3> const cost{1, 1, 1};
  std::array<std::size_t, 3> const device{0, 1, 2};
  auto const whole = mpx::make_lists<mpx::one_f_one_b<mpx::microbatches<3>>, 3>();
  CHECK(mpx::run_on_paper<3>(whole, device, mpx::channel_depth, cost, cost).fault == schedule_fault::none);
  for (std::size_t s = 0; s < 3; ++s)
    for (std::size_t i = 0; i < whole.sizes[s]; ++i) {
      CAPTURE(s, i, whole.actions[s][i].kind);
      auto faulty = whole;
      std::copy(whole.actions[s] + i + 1, whole.actions[s] + whole.sizes[s], faulty.actions[s] + i);
      --faulty.sizes[s];
      auto const run = mpx::run_on_paper<3>(faulty, device, mpx::channel_depth, cost, cost);
      CHECK(run.fault == schedule_fault::deadlock);
    }
}

TEST_CASE("stages of one device take turns without waiting for each other", "[plan][actions]") {
  // Four stages on two devices, in turn: 0 1 0 1.
  std::array<double, 4> const one{1, 1, 1, 1}, two{2, 2, 2, 2};
  using schedule = mpx::one_f_one_b<mpx::microbatches<4>>;
  auto const lists = mpx::make_actions<schedule, 2>(std::array<std::size_t, 4>{0, 1, 0, 1}, mpx::channel_depth, one, two);
  CHECK(complete(lists));
  CHECK(runs_to_its_end(lists, mpx::channel_depth));
  for (std::size_t d = 0; d < 2; ++d)
    for (std::size_t i = lists.begin[d]; i < lists.begin[d + 1]; ++i) CHECK(lists.actions[i].stage % 2 == static_cast<int>(d));

  auto const alone = mpx::make_actions<schedule, 1>(std::array<std::size_t, 4>{}, mpx::channel_depth, one, two);
  CHECK(complete(alone));
  CHECK(runs_to_its_end(alone, mpx::channel_depth));
  CHECK(alone.idle_share == Approx(0.0).margin(1e-12));
  CHECK(alone.makespan == Approx(4 * 4 * 3.0));
}

TEST_CASE("a slow stage makes the others wait", "[plan][actions]") {
  // Two stages, one microbatch: 1 + 3 forward, 6 + 2 backward; busy 3 and 9 of 12 each.
  std::array<double, 2> const forward{1, 3}, backward{2, 6};
  auto const lists = mpx::make_actions<mpx::gpipe<mpx::microbatches<1>>, 2>(std::array<std::size_t, 2>{0, 1}, mpx::channel_depth, forward, backward);
  CHECK(lists.makespan == Approx(12));
  CHECK(lists.idle_share == Approx(0.5));
}
