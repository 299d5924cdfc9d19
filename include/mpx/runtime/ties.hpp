/// @file
/// Parameters that share their values at work: their gradients are summed, wherever they live.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <mpx/backend/operations.hpp>
#include <mpx/core/device.hpp>

namespace mpx {

/// One of the parameters that share values.
template <class A, class T>
struct tie_holder {
  std::size_t device = 0;
  std::span<A> master;    ///< what this data rank holds of it; empty where another holder's is read
  A* gradient = nullptr;  ///< of what this data rank updates
  A* met = nullptr;       ///< where that meets the others'; `gradient` itself, unless they do not all reach it
  std::span<T> weights;   ///< the compute-type copy, if there is one; likewise
};

/// An owner and its copies. Every device that holds one of them walks through all ties of a model in the same order, so
/// that none waits for another one in a circle.
template <class Group, class A, class T>
class tied_values {
 public:
  /// The owner comes first, then its copies in the model's order. `count`: elements that this data rank updates; `where`:
  /// kind of the device in whose memory gradients meet.
  tied_values(std::vector<tie_holder<A, T>> const& holders, std::size_t count, std::size_t devices,
              std::chrono::milliseconds deadline, device_kind where)
      : holders_(holders),
        count_(count),
        parts_(parts_by_device(holders, devices)),
        ranks_(ranks_of(parts_)),
        meeting_(make_meeting(ranks_.back() + 1, deadline, holders.size(), where)) {}

  /// The gradient of every holder becomes the sum of all, added in their order. Called by each device; one that holds
  /// none of them has nothing to do.
  template <class Machine>
  void sum_gradients(std::size_t device, Machine& machine) {
    std::span<summand<A> const> const own(parts_[device]);
    if (own.empty()) return;
    for (auto const& h : holders_)
      if (h.device == device && h.met != h.gradient) machine.download(h.met, h.gradient, count_ * sizeof(A));
    meeting_.all_reduce(ranks_[device], own, count_);
    for (auto const& h : holders_)
      if (h.device == device && h.met != h.gradient) machine.upload(h.gradient, h.met, count_ * sizeof(A));
  }

  /// Copies take their owner's values. on_device(number, f) calls f(the machine of this device).
  template <class OnDevice>
  void copy_values(OnDevice on_device) {
    on_device(holders_[0].device, [&](auto& from) {
      for (std::size_t i = 1; i < holders_.size(); ++i)
        on_device(holders_[i].device, [&](auto& to) {
          copy_to(to, holders_[i].master, from, holders_[0].master);
          copy_to(to, holders_[i].weights, from, holders_[0].weights);
        });
    });
  }

  [[nodiscard]] Group& meeting() { return meeting_; }

 private:
  /// Between devices of two kinds, one is the host.
  template <class To, class From, class U>
  static void copy_to(To& to, std::span<U> copy, From& from, std::span<U> values) {
    if (copy.empty()) return;
    if constexpr (To::kind == From::kind) {
      to.use();
      to.copy(copy.data(), values.data(), copy.size_bytes());
      to.finish();
    } else if constexpr (reaches(To::kind, From::kind)) {
      to.use();
      to.upload(copy.data(), values.data(), copy.size_bytes());
      to.finish();
    } else {
      from.use();
      from.download(copy.data(), values.data(), copy.size_bytes());
    }
  }

  /// A group that serves several kinds of device is told in whose memory its summands lie.
  static Group make_meeting(int ranks, std::chrono::milliseconds deadline, std::size_t summands,
                            [[maybe_unused]] device_kind where) {
    if constexpr (std::constructible_from<Group, std::string, int, std::chrono::milliseconds, std::size_t, device_kind>)
      return Group("tied parameters", ranks, deadline, summands, where);
    else
      return Group("tied parameters", ranks, deadline, summands);
  }

  using parts = std::vector<std::vector<summand<A>>>;

  static parts parts_by_device(std::vector<tie_holder<A, T>> const& holders, std::size_t devices) {
    parts out(devices);
    for (std::size_t i = 0; i < holders.size(); ++i) out[holders[i].device].push_back({holders[i].met, i});
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
