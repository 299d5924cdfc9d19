/// @file
/// Parameters that share their values at work: their gradients are summed, wherever they live.
#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <vector>

#include <mpx/backend/operations.hpp>

namespace mpx {

/// One of the parameters that share values.
template <class A, class T>
struct tie_holder {
  std::size_t device = 0;
  std::span<A> master;    ///< what this data rank holds of it; empty where another holder's is read
  A* gradient = nullptr;  ///< of what this data rank updates
  std::span<T> weights;   ///< the compute-type copy, if there is one; likewise
};

/// An owner and its copies. Every device that holds one of them walks through all ties of a model in the same order, so
/// that none waits for another one in a circle.
template <class Group, class A, class T>
class tied_values {
 public:
  /// The owner comes first, then its copies in the model's order. `count`: elements that this data rank updates.
  tied_values(std::vector<tie_holder<A, T>> const& holders, std::size_t count, std::size_t devices,
              std::chrono::milliseconds deadline)
      : holders_(holders),
        count_(count),
        parts_(parts_by_device(holders, devices)),
        ranks_(ranks_of(parts_)),
        meeting_("tied parameters", ranks_.back() + 1, deadline, holders.size()) {}

  /// The gradient of every holder becomes the sum of all, added in their order. Called by each device; one that holds
  /// none of them has nothing to do.
  void sum_gradients(std::size_t device) {
    std::span<summand<A> const> const own(parts_[device]);
    if (!own.empty()) meeting_.all_reduce(ranks_[device], own, count_);
  }

  /// Copies take their owner's values.
  template <class Machine>
  void copy_values(Machine& machine) {
    machine.use();
    auto const copy = [&](auto to, auto from) {
      if (!to.empty()) machine.copy(to.data(), from.data(), to.size_bytes());
    };
    for (std::size_t i = 1; i < holders_.size(); ++i) {
      copy(holders_[i].master, holders_[0].master);
      copy(holders_[i].weights, holders_[0].weights);
    }
    machine.finish();
  }

  [[nodiscard]] Group& meeting() { return meeting_; }

 private:
  using parts = std::vector<std::vector<summand<A>>>;

  static parts parts_by_device(std::vector<tie_holder<A, T>> const& holders, std::size_t devices) {
    parts out(devices);
    for (std::size_t i = 0; i < holders.size(); ++i) out[holders[i].device].push_back({holders[i].gradient, i});
    return out;
  }
  /// Devices that hold a part are numbered; one without has the number of the one before it, which nobody asks for.
  static std::vector<int> ranks_of(parts const& by_device) {
    std::vector<int> ranks;
    int last = -1;
    for (auto const& own : by_device) ranks.push_back(last += own.empty() ? 0 : 1);
    return ranks;
  }

  std::vector<tie_holder<A, T>> holders_;
  std::size_t count_;
  parts parts_;
  std::vector<int> ranks_;
  Group meeting_;
};

}  // namespace mpx
