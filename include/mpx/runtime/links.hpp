/// @file
/// The channels between stages: one for each stream and direction, over storage in the receiver's arena, or in the sender's
/// where that one does not reach the receiver's.
#pragma once

#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <mpx/plan/plan.hpp>

namespace mpx {

template <class Backend, std::size_t Stages>
class links {
 public:
  using channel = typename Backend::channel;

  template <class Plan>
  links(Plan const& made, std::array<std::byte*, Plan::device_count> const& arenas, std::chrono::milliseconds deadline) {
    for (std::size_t s = 0; s + 1 < Stages; ++s) {
      auto const& from = made.stages[s];
      auto const& to = made.stages[s + 1];
      std::byte* forward = made.links[s].forward_at_sender ? arenas[from.device_index] + from.outgoing_forward.offset
                                                           : arenas[to.device_index] + to.incoming_forward.offset;
      std::byte* backward = made.links[s].backward_at_sender ? arenas[to.device_index] + to.outgoing_backward.offset
                                                             : arenas[from.device_index] + from.incoming_backward.offset;
      for (std::size_t k = 0; k < made.links[s].streams; ++k) {
        stream_info const& stream = made.links[s].stream[k];
        std::size_t const size = channel_depth * stream.bytes(made.capacity, made.elements);
        std::string const label(stream.label);
        std::string const here = "stage " + std::to_string(s), there = "stage " + std::to_string(s + 1);
        forward_[s].push_back(make(label + ", " + here + " -> " + there, {forward, size}, deadline, from.where, to.where));
        backward_[s].push_back(make("gradient of " + label + ", " + there + " -> " + here, {backward, size}, deadline, to.where,
                                    from.where));
        forward += size;
        backward += size;
      }
    }
  }

  /// The channel of the k-th stream from stage `link` to the next one.
  [[nodiscard]] channel& forward(std::size_t link, std::size_t k) { return *forward_[link][k]; }
  /// The channel of its gradient, the other way.
  [[nodiscard]] channel& backward(std::size_t link, std::size_t k) { return *backward_[link][k]; }

  template <class F>
  void each(F&& f) {
    for (auto* way : {&forward_, &backward_})
      for (auto& link : *way)
        for (auto& c : link) f(*c);
  }

 private:
  /// A channel that serves several kinds of device is told which stand at its ends.
  static std::unique_ptr<channel> make(std::string name, std::span<std::byte> storage, std::chrono::milliseconds deadline,
                                       [[maybe_unused]] device sender, [[maybe_unused]] device receiver) {
    if constexpr (std::constructible_from<channel, std::string, std::span<std::byte>, std::size_t, std::chrono::milliseconds,
                                          device_kind, device_kind>)
      return std::make_unique<channel>(std::move(name), storage, channel_depth, deadline, sender.kind, receiver.kind);
    else
      return std::make_unique<channel>(std::move(name), storage, channel_depth, deadline);
  }

  std::array<std::vector<std::unique_ptr<channel>>, Stages> forward_, backward_;
};

}  // namespace mpx
