// Action lists, run on paper by another way than the plan's: as a graph whose longest path is the step's time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <mpx/plan/actions.hpp>

namespace test {

struct simulated {
  std::string fault;  ///< empty: every action has its turn
  double makespan = 0;
  double work = 0;                     ///< of all devices together
  double idle_share = 0;               ///< idle time over total time, all devices together
  std::vector<std::size_t> in_flight;  ///< of each stage: most microbatches between a forward and its backward's end
  std::vector<std::size_t> deferred;   ///< of each stage: most microbatches between the two halves of their backward
};

/// An action begins when the one before it on its device has ended and what it waits for has: a receive waits for the
/// send of its message, a send for the receive that frees its place in a channel of this depth.
/// Units   those of the costs, one for each stage; half a backward is half its cost; sends and receives take no time
template <std::size_t Stages, std::size_t Devices, std::size_t M, std::size_t Tasks>
simulated simulate(mpx::action_lists<Stages, Devices, M, Tasks> const& lists, std::size_t depth,
                   std::vector<double> const& forward_cost, std::vector<double> const& backward_cost) {
  using mpx::action_kind;
  simulated out;
  std::size_t const all = lists.begin[Devices];
  auto const text = [&](std::size_t i) {
    char const* const kinds[] = {"forward",         "backward",     "input half of backward", "weights half of backward",
                                 "receive forward", "send forward", "receive backward",       "send backward"};
    mpx::action const& a = lists.actions[i];
    return std::string(kinds[static_cast<std::size_t>(a.kind)]) + ' ' + std::to_string(a.microbatch) + " on stage " +
           std::to_string(a.stage);
  };
  auto const failed = [&](std::string what) {
    out.fault = std::move(what);
    return out;
  };

  // The graph: after[i] are the actions that wait for action i, and waits[i] is how many i waits for.
  std::vector<std::vector<std::size_t>> after(all);
  std::vector<std::size_t> waits(all);
  auto const then = [&](std::size_t first, std::size_t second) {
    after[first].push_back(second);
    ++waits[second];
  };
  for (std::size_t d = 0; d < Devices; ++d)
    for (std::size_t i = lists.begin[d] + 1; i < lists.begin[d + 1]; ++i) then(i - 1, i);

  // The messages of each channel between stages s and s + 1, in the order that they are sent and received in.
  struct channel {
    std::vector<std::size_t> sends, receives;
  };
  std::vector<channel> channels(2 * Stages);  // forward at 2 s, backward at 2 s + 1
  for (std::size_t i = 0; i < all; ++i) {
    auto const s = static_cast<std::size_t>(lists.actions[i].stage);
    switch (lists.actions[i].kind) {
      case action_kind::send_forward:
        channels[2 * s].sends.push_back(i);
        break;
      case action_kind::receive_forward:
        channels[2 * (s - 1)].receives.push_back(i);
        break;
      case action_kind::send_backward:
        channels[2 * (s - 1) + 1].sends.push_back(i);
        break;
      case action_kind::receive_backward:
        channels[2 * s + 1].receives.push_back(i);
        break;
      default:
        break;
    }
  }
  for (auto const& [sends, receives] : channels) {
    for (std::size_t k = 0; k < receives.size(); ++k) {
      if (k >= sends.size()) return failed("nobody sends for: " + text(receives[k]));
      if (lists.actions[sends[k]].microbatch != lists.actions[receives[k]].microbatch)
        return failed(text(receives[k]) + " meets " + text(sends[k]));
      then(sends[k], receives[k]);
      if (k + depth < sends.size()) then(receives[k], sends[k + depth]);
    }
    if (sends.size() > receives.size()) return failed("nobody receives: " + text(sends[receives.size()]));
  }

  // Its longest path. What no order reaches waits for itself.
  std::vector<double> begin(all), busy(Devices);
  std::vector<std::size_t> ready;
  for (std::size_t i = 0; i < all; ++i)
    if (waits[i] == 0) ready.push_back(i);
  std::size_t done = 0;
  for (; done < ready.size(); ++done) {
    std::size_t const i = ready[done];
    mpx::action const& a = lists.actions[i];
    auto const s = static_cast<std::size_t>(a.stage);
    double cost = 0;
    if (a.kind == action_kind::forward) cost = forward_cost[s];
    if (a.kind == action_kind::backward) cost = backward_cost[s];
    if (a.kind == action_kind::backward_input || a.kind == action_kind::backward_weights) cost = backward_cost[s] / 2;
    out.makespan = std::max(out.makespan, begin[i] + cost);
    out.work += cost;
    for (std::size_t next : after[i]) {
      begin[next] = std::max(begin[next], begin[i] + cost);
      if (--waits[next] == 0) ready.push_back(next);
    }
  }
  if (done < all) {
    std::size_t stuck = 0;
    while (waits[stuck] == 0) ++stuck;
    return failed("never has its turn: " + text(stuck));
  }
  if (out.makespan > 0) out.idle_share = 1 - out.work / (out.makespan * static_cast<double>(Devices));

  // The work of each microbatch on each stage: a forward, then a backward, whole or in halves.
  std::vector<action_kind> const order =
      Tasks == 3 ? std::vector{action_kind::forward, action_kind::backward_input, action_kind::backward_weights}
                 : std::vector{action_kind::forward, action_kind::backward};
  std::vector<std::size_t> now(Stages), between(Stages), turns(Stages * M);
  out.in_flight.resize(Stages);
  out.deferred.resize(Stages);
  for (std::size_t i = 0; i < all; ++i) {
    action_kind const kind = lists.actions[i].kind;
    if (!mpx::is_work(kind)) continue;
    auto const s = static_cast<std::size_t>(lists.actions[i].stage);
    auto& turn = turns[s * M + static_cast<std::size_t>(lists.actions[i].microbatch)];
    if (turn == order.size() || kind != order[turn++]) return failed("out of turn: " + text(i));
    if (turn == 1) out.in_flight[s] = std::max(out.in_flight[s], ++now[s]);
    if (kind == action_kind::backward_input) out.deferred[s] = std::max(out.deferred[s], ++between[s]);
    if (kind == action_kind::backward_weights) --between[s];
    if (turn == order.size()) --now[s];
  }
  for (std::size_t k = 0; k < turns.size(); ++k)
    if (turns[k] != order.size())
      return failed("never forward and back: microbatch " + std::to_string(k % M) + " on stage " + std::to_string(k / M));
  return out;
}

}  // namespace test
