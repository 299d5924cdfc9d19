/// @file
/// Action lists with times: when each device works on what, and when it waits.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

#include <mpx/plan/actions.hpp>

namespace mpx {

/// One forward or backward, or half of one, of one microbatch on one stage.
/// Units   those of the costs that the timeline was made with
struct timed_work {
  int device = 0;  ///< position among the plan's devices
  int stage = 0;
  int microbatch = 0;
  work kind = work::forward;
  double begin = 0;
  double end = 0;

  friend constexpr bool operator==(timed_work const&, timed_work const&) = default;
};

/// "forward", "backward"; of a split one "input half of backward", "weights half of backward".
[[nodiscard]] constexpr std::string_view to_string(work kind) {
  return kind == work::forward          ? "forward"
         : kind == work::backward       ? "backward"
         : kind == work::backward_input ? "input half of backward"
                                        : "weights half of backward";
}

/// All work of a step, one device after the other, each in the order that it works in.
template <std::size_t Devices, std::size_t Works> struct timeline {
  std::array<timed_work, Works> work{};
  std::array<double, Devices> busy{};
  double makespan = 0;

  /// Idle time over total time, all devices together.
  [[nodiscard]] constexpr double idle_share() const {
    double sum = 0;
    for (double b : busy) sum += b;
    return makespan > 0 ? 1 - sum / (makespan * static_cast<double>(Devices)) : 0;
  }
};

/// Replays action lists that end, such as a plan's: each device works through its own list, a receive waits for its
/// send, and a send waits for a free place in its channel. Sends and receives take no time.
template <std::size_t Stages, std::size_t Devices, std::size_t M, std::size_t Tasks>
[[nodiscard]] constexpr auto make_timeline(action_lists<Stages, Devices, M, Tasks> const& lists, std::size_t depth,
                                           std::array<double, Stages> const& forward_cost,
                                           std::array<double, Stages> const& backward_cost) {
  timeline<Devices, Tasks * M * Stages> out;

  // Link s joins stages s and s + 1; direction 0 is forward. Times at which the k-th message was sent and received.
  struct link {
    double sent[2][M]{}, received[2][M]{};
    std::size_t sends[2]{}, receives[2]{};
  };
  link links[Stages]{};
  std::size_t next[Devices]{};
  double clock[Devices]{};

  // Whether device d could do its next action, and what it does then.
  auto const advance = [&](std::size_t d) {
    if (next[d] == lists.begin[d + 1]) return false;
    action const& a = lists.actions[next[d]];
    auto const s = static_cast<std::size_t>(a.stage);
    if (is_work(a.kind)) {
      clock[d] += detail::cost_of(a.kind, forward_cost[s], backward_cost[s]);
    } else {
      bool const to_next = a.kind == action_kind::send_forward || a.kind == action_kind::receive_backward;
      link& l = links[to_next ? s : s - 1];
      std::size_t const way = a.kind == action_kind::send_forward || a.kind == action_kind::receive_forward ? 0 : 1;
      if (a.kind == action_kind::send_forward || a.kind == action_kind::send_backward) {
        std::size_t const k = l.sends[way];
        if (k >= l.receives[way] + depth) return false;
        if (k >= depth) clock[d] = std::max(clock[d], l.received[way][k - depth]);
        l.sent[way][k] = clock[d];
        ++l.sends[way];
      } else {
        std::size_t const k = l.receives[way];
        if (k >= l.sends[way]) return false;
        clock[d] = std::max(clock[d], l.sent[way][k]);
        l.received[way][k] = clock[d];
        ++l.receives[way];
      }
    }
    ++next[d];
    return true;
  };

  std::size_t first[Devices]{};  // each device's first place in out.work
  std::size_t worked[Devices]{};
  for (std::size_t d = 0, n = 0; d < Devices; ++d) {
    next[d] = lists.begin[d];
    first[d] = n;
    for (std::size_t i = lists.begin[d]; i < lists.begin[d + 1]; ++i)
      n += is_work(lists.actions[i].kind);
  }
  for (bool moved = true; moved;) {
    moved = false;
    for (std::size_t d = 0; d < Devices; ++d)
      for (double begin = clock[d]; advance(d); begin = clock[d]) {
        moved = true;
        action const& a = lists.actions[next[d] - 1];
        if (!is_work(a.kind)) continue;
        out.work[first[d] + worked[d]++] = {static_cast<int>(d), a.stage, a.microbatch, work_of(a.kind), begin, clock[d]};
        out.busy[d] += clock[d] - begin;
        out.makespan = std::max(out.makespan, clock[d]);
      }
  }
  return out;
}

/// The same with equal stages: a forward takes 1, a backward 2, half of one 1.
template <std::size_t Stages, std::size_t Devices, std::size_t M, std::size_t Tasks>
[[nodiscard]] constexpr auto make_timeline(action_lists<Stages, Devices, M, Tasks> const& lists, std::size_t depth) {
  std::array<double, Stages> forward{}, backward{};
  for (std::size_t s = 0; s < Stages; ++s) {
    forward[s] = 1;
    backward[s] = 2;
  }
  return make_timeline(lists, depth, forward, backward);
}

}  // namespace mpx
