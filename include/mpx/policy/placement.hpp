/// @file
/// Which layer lives on which device.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <string_view>

#include <mpx/core/device.hpp>
#include <mpx/core/diagnostic.hpp>
#include <mpx/core/fixed_string.hpp>
#include <mpx/model/layer_info.hpp>

namespace mpx {

/// Assigns a device to each layer, from what is known of the layers: name, parameters, bytes, FLOPs. One that also has
/// `static constexpr std::size_t devices` asks for so many: a plan that leaves one of them without a layer is refused.
template <class T>
concept placement_policy =
    requires(std::array<layer_info, 2> const& layers) {
      { T::assign(layers) } -> std::same_as<std::array<device, 2>>;
    } ||
    unsatisfied<"a placement policy offers, for any N, `static constexpr std::array<device, N> assign(std::array<layer_info, N> const&)`", T>();

/// A placement that lays runs of layers on a device, one behind the other: neighbours in two runs are two stages. It gives
/// each layer something that is the same within a run, such as the device that a run of its own would have.
template <class T>
concept says_runs = requires(std::array<layer_info, 2> const& layers) {
  { T::runs(layers) } -> std::same_as<std::array<device, 2>>;
};

/// All layers on one device.
template <class Device = host<0>>
struct place_all {
  template <std::size_t N>
  static constexpr std::array<device, N> assign(std::array<layer_info, N> const&) {
    std::array<device, N> where{};
    for (auto& one : where) one = Device{};
    return where;
  }
};

/// Runs of layers, equally long to within one, on host<0> ... host<Devices - 1>.
/// Errors  compile time: fewer layers than devices
template <std::size_t Devices>
struct place_evenly {
  static_assert(Devices > 0, "mpx::place_evenly requires its user to name at least one device");
  static constexpr std::size_t devices = Devices;

  template <std::size_t N>
  static constexpr std::array<device, N> assign(std::array<layer_info, N> const&) {
    std::array<device, N> where{};
    for (std::size_t i = 0; i < N; ++i) where[i] = {device_kind::host, static_cast<int>(i * Devices / N)};
    return where;
  }
};

/// A rule of place_at: layers with this name, or below it ("encoder" holds "encoder.layers.0"), on this device.
template <fixed_string Name, class Device>
struct at {
  static constexpr std::string_view label() { return Name.view(); }
  static constexpr device where() { return Device{}; }
};

/// Each layer on the device of the rule that names it.
/// Errors  compile time: a layer that no rule names, or that two rules name; a rule whose name is no layer's
template <class... Rules>
struct place_at {
  template <std::size_t N>
  static constexpr std::array<device, N> assign(std::array<layer_info, N> const& layers) {
    std::array<device, N> where{};
    for (std::size_t i = 0; i < N; ++i)
      ((layers[i].name.within(Rules::label()) ? void(where[i] = Rules::where()) : void()), ...);
    return where;
  }

  static constexpr std::size_t rules = sizeof...(Rules);
  static constexpr std::array<std::string_view, sizeof...(Rules)> labels{Rules::label()...};
};

}  // namespace mpx
