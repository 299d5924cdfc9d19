/// @file
/// Placements that deal several runs of layers to each device, as a schedule with chunks wants them.
#pragma once

#include <array>
#include <cstddef>

#include <mpx/policy/place_by_cost.hpp>
#include <mpx/policy/placement.hpp>
#include <mpx/policy/schedule.hpp>

namespace mpx {

/// The runs of `Cut`, which places them on a device each, dealt to fewer devices by `Schedule::device_of`.
/// Errors  compile time: those of the cut
template <class Cut, std::size_t Devices, deals_chunks Schedule>
struct deal {
  static constexpr std::size_t devices = Devices;

  /// Neighbours in one run are on one device here, neighbours in two runs on two, even if both are dealt to the same.
  template <std::size_t N>
  static constexpr std::array<device, N> runs(std::array<layer_info, N> const& layers) {
    return Cut::assign(layers);
  }

  template <std::size_t N>
  static constexpr std::array<device, N> assign(std::array<layer_info, N> const& layers) {
    auto where = runs(layers);
    for (device& one : where)
      if (one.placed()) one.ordinal = Schedule::device_of(one.ordinal, static_cast<int>(Devices));
    return where;
  }

  /// What the plan says of layers without a device.
  template <auto const& Layers>
  struct refusal : Cut::template refusal<Layers> {};
};

namespace detail {

/// A placement that cuts evenly, or by time, cuts as many runs as the schedule deals. Any other one says itself which
/// layer lives where.
template <class Placement, class Schedule>
struct dealt {
  using type = Placement;
};
template <std::size_t Devices, deals_chunks Schedule>
struct dealt<place_evenly<Devices>, Schedule> {
  using type = deal<place_evenly<Devices * Schedule::chunks>, Devices, Schedule>;
};
template <std::size_t Devices, deals_chunks Schedule>
struct dealt<place_by_cost<Devices>, Schedule> {
  using type = deal<place_by_cost<Devices * Schedule::chunks>, Devices, Schedule>;
};

}  // namespace detail

}  // namespace mpx
