/// @file
/// What each device does, in order: the schedule's tasks with the sends and receives that they need.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include <mpx/policy/schedule.hpp>

namespace mpx {

/// A schedule's kinds of work, as `work` counts them, and what they send and receive.
enum class action_kind : unsigned char {
  forward, backward, backward_input, backward_weights, receive_forward, send_forward, receive_backward, send_backward
};

[[nodiscard]] constexpr bool is_work(action_kind kind) { return kind <= action_kind::backward_weights; }
[[nodiscard]] constexpr action_kind action_of(work kind) { return static_cast<action_kind>(kind); }
[[nodiscard]] constexpr work work_of(action_kind kind) { return static_cast<work>(kind); }
static_assert(action_of(work::forward) == action_kind::forward && action_of(work::backward) == action_kind::backward &&
              action_of(work::backward_input) == action_kind::backward_input &&
              action_of(work::backward_weights) == action_kind::backward_weights);

struct action {
  action_kind kind = action_kind::forward;
  int stage = 0;
  int microbatch = 0;
  int slot = 0;      ///< which copy of the saved activations it works on
  int deferred = 0;  ///< and of the gradients that the input half of a backward leaves to the other half

  friend constexpr bool operator==(action const&, action const&) = default;
};

/// What is wrong with a schedule's task list.
enum class schedule_fault : unsigned char { none, repeated, backward_first, deadlock };

/// How many messages of one stream a channel holds before its sender waits.
inline constexpr std::size_t channel_depth = 2;

/// Actions of S stages and M microbatches: 2 M tasks a stage, or 3 M, and 4 M sends and receives for each boundary.
[[nodiscard]] constexpr std::size_t action_count(std::size_t stages, std::size_t m, std::size_t tasks = 2) {
  return m * (tasks * stages + 4 * (stages - 1));
}

/// The actions of all devices, one device after the other; M microbatches have so many tasks each on a stage.
template <std::size_t Stages, std::size_t Devices, std::size_t M, std::size_t Tasks = 2>
struct action_lists {
  std::array<action, action_count(Stages, M, Tasks)> actions{};
  std::array<std::size_t, Devices + 1> begin{};
  std::array<std::size_t, Stages> slots{};     ///< most microbatches in flight on each stage
  std::array<std::size_t, Stages> deferred{};  ///< and of them, between the two halves of a backward
  schedule_fault fault = schedule_fault::none;
  int fault_stage = 0;
  int fault_microbatch = 0;
  double makespan = 0;
  double idle_share = 0;  ///< idle time over total time, all devices together

  /// Most forwards of a device, on all of its stages, whose backward is not complete.
  [[nodiscard]] constexpr std::size_t in_flight(std::size_t device) const {
    std::size_t now = 0, most = 0;
    for (std::size_t i = begin[device]; i < begin[device + 1]; ++i) {
      action_kind const kind = actions[i].kind;
      now += kind == action_kind::forward;
      now -= kind == action_kind::backward || kind == action_kind::backward_weights;
      most = std::max(most, now);
    }
    return most;
  }
};

namespace detail {

/// First fault of one list of tasks: on each of its chunks every forward once, then every backward, or both of its halves.
template <std::size_t M, std::size_t V, std::size_t Each>
constexpr schedule_fault check_tasks(std::array<task, V * Each * M> const& tasks, task& faulty) {
  std::array<int, V * M> done{};  // tasks of each microbatch on each chunk
  for (task const& t : tasks) {
    faulty = t;
    if (t.microbatch < 0 || t.microbatch >= static_cast<int>(M)) return schedule_fault::repeated;
    if (t.chunk < 0 || t.chunk >= static_cast<int>(V)) return schedule_fault::repeated;
    auto const m = static_cast<std::size_t>(t.chunk) * M + static_cast<std::size_t>(t.microbatch);
    if ((t.kind == work::backward) != (Each == 2) && t.kind != work::forward) return schedule_fault::repeated;
    int const turn = t.kind == work::forward ? 0 : t.kind == work::backward_weights ? 2 : 1;
    if (turn > done[m]) return schedule_fault::backward_first;
    if (turn < done[m]++) return schedule_fault::repeated;
  }
  return schedule_fault::none;  // as many tasks a chunk as it must have, none twice: none is missing
}

}  // namespace detail

/// How many lists a schedule writes for so many stages: one for each stage, or one for each device.
template <class Schedule>
[[nodiscard]] constexpr std::size_t list_count(std::size_t stages) { return stages / chunks_of<Schedule>; }

/// The stage that a chunk of a list is.
template <class Schedule>
[[nodiscard]] constexpr std::size_t stage_of_chunk(std::size_t list, int chunk, std::size_t lists) {
  if constexpr (deals_chunks<Schedule>) {
    std::size_t s = 0;
    for (int c = 0;; ++s)
      if (Schedule::device_of(static_cast<int>(s), static_cast<int>(lists)) == static_cast<int>(list) && c++ == chunk) return s;
  } else {
    return list;
  }
}

/// The lists of a schedule: its tasks, with the sends and receives that they need. Each is of one stage, or of all
/// stages of a device. Plain arrays: compilers evaluate their subscripts several times as fast as std::array's.
template <std::size_t Lists, std::size_t Stages, std::size_t M, std::size_t Tasks>
struct work_lists {
  action actions[Lists][Stages / Lists * (Tasks + 4) * M]{};
  std::size_t sizes[Lists]{};
  std::size_t slots[Stages]{};     ///< most microbatches in flight
  std::size_t deferred[Stages]{};  ///< and between the two halves of a backward
  schedule_fault fault = schedule_fault::none;
  int fault_stage = 0;
  int fault_microbatch = 0;
};

namespace detail {

[[nodiscard]] constexpr double cost_of(action_kind kind, double forward, double backward) {
  return kind == action_kind::forward ? forward : kind == action_kind::backward ? backward : is_work(kind) ? backward / 2 : 0;
}

/// Copies of a stage's tensors, one for each microbatch that needs them: the lowest free one is taken.
template <std::size_t M>
struct copies {
  int of[M]{};
  bool taken[M]{};

  constexpr int take(std::size_t m, std::size_t& most) {
    std::size_t free = 0;
    while (taken[free]) ++free;
    taken[free] = true;
    most = std::max(most, free + 1);
    return of[m] = static_cast<int>(free);
  }
  constexpr int give_back(std::size_t m) {
    taken[of[m]] = false;
    return of[m];
  }
};

}  // namespace detail

/// Expands a schedule over stages. One that deals chunks has as many stages as it deals.
template <class Schedule, std::size_t Stages>
[[nodiscard]] constexpr auto make_lists() {
  constexpr std::size_t M = Schedule::microbatches, L = list_count<Schedule>(Stages), V = Stages / L;
  work_lists<L, Stages, M, tasks_of<Schedule>> out;
  for (std::size_t l = 0; l < L; ++l) {
    auto const tasks = Schedule::tasks(static_cast<int>(l), static_cast<int>(L));
    std::array<std::size_t, V> stage_of{};
    for (std::size_t c = 0; c < V; ++c) stage_of[c] = stage_of_chunk<Schedule>(l, static_cast<int>(c), L);
    task faulty;
    if (auto const fault = detail::check_tasks<M, V, tasks_of<Schedule>>(tasks, faulty); fault != schedule_fault::none) {
      out.fault = fault;
      auto const c = static_cast<std::size_t>(faulty.chunk);
      out.fault_stage = static_cast<int>(stage_of[c < V ? c : 0]);
      out.fault_microbatch = faulty.microbatch;
      return out;
    }
    detail::copies<M> slots[V]{}, deferred[V]{};
    for (task const& t : tasks) {
      auto const m = static_cast<std::size_t>(t.microbatch), c = static_cast<std::size_t>(t.chunk);
      std::size_t const s = stage_of[c];
      action now{action_of(t.kind), static_cast<int>(s), t.microbatch};
      now.slot = t.kind == work::forward ? slots[c].take(m, out.slots[s]) : slots[c].of[m];
      if (t.kind == work::backward_input) now.deferred = deferred[c].take(m, out.deferred[s]);
      if (t.kind == work::backward_weights) now.deferred = deferred[c].give_back(m);
      if (t.kind == work::backward || t.kind == work::backward_weights) slots[c].give_back(m);
      auto const add = [&](action_kind kind) {
        action& next = out.actions[l][out.sizes[l]++] = now;
        next.kind = kind;
      };
      bool const forward = t.kind == work::forward, crosses = t.kind != work::backward_weights;
      bool const before = crosses && s > 0, after = crosses && s + 1 < Stages;  // neighbours that it has to do with
      if (forward ? before : after) add(forward ? action_kind::receive_forward : action_kind::receive_backward);
      add(now.kind);
      if (forward ? after : before) add(forward ? action_kind::send_forward : action_kind::send_backward);
    }
  }
  return out;
}

/// Runs the lists of stages that stand on devices on paper, with channels of the given depth: proves that they end, and
/// orders the lists of one device among each other. Sends and receives take no time there; forward and backward of
/// stage s take forward_cost[s] and backward_cost[s], each half of a backward half of that.
template <std::size_t Devices, std::size_t Lists, std::size_t Stages, std::size_t M, std::size_t Tasks>
[[nodiscard]] constexpr auto run_on_paper(work_lists<Lists, Stages, M, Tasks> const& given,
                                          std::array<std::size_t, Stages> const& device_of_stage, std::size_t depth,
                                          std::array<double, Stages> const& forward_cost,
                                          std::array<double, Stages> const& backward_cost) {
  action_lists<Stages, Devices, M, Tasks> out;
  for (std::size_t s = 0; s < Stages; ++s) {
    out.slots[s] = given.slots[s];
    out.deferred[s] = given.deferred[s];
  }
  if (given.fault != schedule_fault::none) {
    out.fault = given.fault;
    out.fault_stage = given.fault_stage;
    out.fault_microbatch = given.fault_microbatch;
    return out;
  }
  auto const& lists = given.actions;
  auto const& sizes = given.sizes;
  std::size_t const* const device_of = device_of_stage.data();
  std::size_t list_device[Lists]{};
  int stage_at[Lists]{};  // of a list's next action
  for (std::size_t l = 0; l < Lists; ++l) {
    stage_at[l] = lists[l][0].stage;
    list_device[l] = device_of[stage_at[l]];
  }

  constexpr std::size_t all = action_count(Stages, M, Tasks);
  std::size_t next[Lists]{}, done = 0;
  double clock[Devices]{}, busy[Devices]{};
  action order[all]{};  // of all devices together
  // Link s joins stages s and s + 1; direction 0 is forward. Times and microbatches of the k-th message.
  struct link {
    double sent[2][M]{}, received[2][M]{};
    int microbatch[2][M]{};
    std::size_t sends[2]{}, receives[2]{};
  };
  link links[Stages]{};

  // When a list can begin its next action; never, as things stand, if it has none or its channel is full or empty.
  constexpr double never = -1;
  auto const earliest = [&](std::size_t list) {
    if (next[list] == sizes[list]) return never;
    action const& a = lists[list][next[list]];
    double const free = clock[list_device[list]];
    if (is_work(a.kind)) return free;
    bool const to_next = a.kind == action_kind::send_forward || a.kind == action_kind::receive_backward;
    link const& l = links[to_next ? a.stage : a.stage - 1];
    std::size_t const way = a.kind == action_kind::send_forward || a.kind == action_kind::receive_forward ? 0 : 1;
    if (a.kind == action_kind::send_forward || a.kind == action_kind::send_backward) {
      std::size_t const k = l.sends[way];
      if (k < depth) return free;
      if (l.receives[way] + depth <= k) return never;  // no free place in the channel
      return std::max(free, l.received[way][k - depth]);
    }
    std::size_t const k = l.receives[way];
    if (l.sends[way] <= k || l.microbatch[way][k] != a.microbatch) return never;  // nothing there, or another one
    return std::max(free, l.sent[way][k]);
  };
  double start[Lists]{};
  for (std::size_t l = 0; l < Lists; ++l) start[l] = earliest(l);

  while (done < all) {
    std::size_t best = Lists;
    for (std::size_t l = 0; l < Lists; ++l)
      if (start[l] != never && (best == Lists || start[l] < start[best])) best = l;
    if (best == Lists) {
      out.fault = schedule_fault::deadlock;
      for (std::size_t l = 0; l < Lists; ++l)
        if (next[l] < sizes[l]) {
          out.fault_stage = lists[l][next[l]].stage;
          out.fault_microbatch = lists[l][next[l]].microbatch;
          break;
        }
      return out;
    }
    action const a = lists[best][next[best]++];
    if (next[best] < sizes[best]) stage_at[best] = lists[best][next[best]].stage;
    std::size_t const d = list_device[best];
    order[done++] = a;
    auto const s = static_cast<std::size_t>(a.stage);
    double const cost = detail::cost_of(a.kind, forward_cost[s], backward_cost[s]);
    clock[d] = start[best] + cost;
    busy[d] += cost;
    if (!is_work(a.kind)) {
      bool const to_next = a.kind == action_kind::send_forward || a.kind == action_kind::receive_backward;
      link& l = links[to_next ? a.stage : a.stage - 1];
      std::size_t const way = a.kind == action_kind::send_forward || a.kind == action_kind::receive_forward ? 0 : 1;
      if (a.kind == action_kind::send_forward || a.kind == action_kind::send_backward) {
        l.microbatch[way][l.sends[way]] = a.microbatch;
        l.sent[way][l.sends[way]++] = clock[d];
      } else {
        l.received[way][l.receives[way]++] = clock[d];
      }
    }
    // Only its own device's clock and its stage's links have changed: nobody else needs to be asked again.
    for (std::size_t l = 0; l < Lists; ++l)
      if (list_device[l] == d || stage_at[l] == a.stage + 1 || stage_at[l] + 1 == a.stage) start[l] = earliest(l);
  }

  // One list after the other.
  std::size_t n = 0;
  double total_busy = 0;
  for (std::size_t d = 0; d < Devices; ++d) {
    out.begin[d] = n;
    for (action const& a : order)
      if (device_of[a.stage] == d) out.actions[n++] = a;
    out.makespan = std::max(out.makespan, clock[d]);
    total_busy += busy[d];
  }
  out.begin[Devices] = n;
  if (out.makespan > 0) out.idle_share = 1 - total_busy / (out.makespan * static_cast<double>(Devices));
  return out;
}

/// Expands a schedule over stages that stand on devices, and runs it on paper.
template <class Schedule, std::size_t Devices, std::size_t Stages>
[[nodiscard]] constexpr auto make_actions(std::array<std::size_t, Stages> const& device_of_stage, std::size_t depth,
                                          std::array<double, Stages> const& forward_cost,
                                          std::array<double, Stages> const& backward_cost) {
  return run_on_paper<Devices>(make_lists<Schedule, Stages>(), device_of_stage, depth, forward_cost, backward_cost);
}

}  // namespace mpx
