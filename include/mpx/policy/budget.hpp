/// @file
/// How much memory a device has.
#pragma once

#include <mpx/core/device.hpp>
#include <mpx/core/units.hpp>

namespace mpx {

/// The device's arena must hold what the plan places on it, or the recipe does not compile. May stand in a recipe once
/// for each device, for example fits<host<0>, 16_GiB>.
template <class Device, bytes Budget>
struct fits {
  static constexpr device where = Device{};
  static constexpr bytes budget = Budget;
};

}  // namespace mpx
