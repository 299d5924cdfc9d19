/// @file
/// The best of all cuts of the layers into neighbouring runs, one run for each device.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <limits>

#include <mpx/core/device.hpp>
#include <mpx/core/diagnostic.hpp>
#include <mpx/core/units.hpp>
#include <mpx/model/layer_info.hpp>

namespace mpx {

/// What a run of neighbouring layers costs device d, if it holds them:
///   (sum of `once`) / speed[d] + (sum of `each`) * slots[d]
/// Whole numbers, and so every sum and the order of all costs, are exact up to 2^53.
template <std::size_t Devices, std::size_t Layers>
struct run_costs {
  double once[Layers + 1]{};  ///< of all layers before this one
  double each[Layers + 1]{};  ///< likewise
  double speed[Devices]{};
  double slots[Devices]{};

  [[nodiscard]] constexpr double of(std::size_t d, std::size_t first, std::size_t end) const {
    return (once[end] - once[first]) / speed[d] + (each[end] - each[first]) * slots[d];
  }
};

/// Time by FLOPs: a forward, a backward that costs two of it, and one more forward where a layer is recomputed.
template <std::size_t Devices, std::size_t Layers>
[[nodiscard]] constexpr auto costs_in_time(std::array<layer_info, Layers> const& layers,
                                           std::array<double, Devices> const& speeds) {
  run_costs<Devices, Layers> costs;
  for (std::size_t i = 0; i < Layers; ++i)
    costs.once[i + 1] = costs.once[i] + (layers[i].recomputed ? 4 : 3) * layers[i].forward_flops;
  for (std::size_t d = 0; d < Devices; ++d) costs.speed[d] = speeds[d];
  return costs;
}

/// Bytes that layers hold for the whole run, and what they keep of each microbatch in flight. Device d of N has N - d
/// of them in flight, as under 1F1B. What crosses between layers and what they share (scratch) is not in it.
template <std::size_t Devices, std::size_t Layers>
[[nodiscard]] constexpr auto costs_in_bytes(std::array<layer_info, Layers> const& layers) {
  run_costs<Devices, Layers> costs;
  for (std::size_t i = 0; i < Layers; ++i) {
    costs.once[i + 1] = costs.once[i] + static_cast<double>(layers[i].state_bytes);
    costs.each[i + 1] = costs.each[i] + static_cast<double>(layers[i].kept_bytes);
  }
  for (std::size_t d = 0; d < Devices; ++d) {
    costs.speed[d] = 1;
    costs.slots[d] = static_cast<double>(Devices - d);
  }
  return costs;
}

/// Device d holds the layers from ends[d - 1] (0 for the first) to before ends[d].
template <std::size_t Devices>
struct layer_cut {
  double largest = std::numeric_limits<double>::infinity();  ///< cost of the device that costs most
  std::array<std::size_t, Devices> ends{};

  [[nodiscard]] constexpr bool exists() const { return largest < std::numeric_limits<double>::infinity(); }
  friend constexpr bool operator==(layer_cut const&, layer_cut const&) = default;
};

/// Among the cuts that give each device at least one layer and none more than `limit` of `limited`, the one whose
/// largest cost is smallest; of several such cuts the one with the smallest ends[0], then the smallest ends[1], and so
/// on. Where there is none, `exists()` is false.
///
/// Dynamic programming over (device, first layer), at most Devices * Layers^2 / 2 steps, and far fewer as a rule: a
/// longer run never costs less. (Bisection needs more: that fewer layers never cost more. With at least one layer for
/// each device, and unequal devices, that does not hold.)
template <std::size_t Devices, std::size_t Layers>
[[nodiscard]] constexpr layer_cut<Devices> best_cut(run_costs<Devices, Layers> const& costs,
                                                    run_costs<Devices, Layers> const& limited, double limit) {
  constexpr double impossible = std::numeric_limits<double>::infinity();
  // rest[d][i]: the smallest largest cost of the devices from d on, when the layers from i on are theirs.
  // least[d][i]: the smallest of rest[d][i], rest[d][i + 1], ...
  double rest[Devices + 1][Layers + 1]{}, least[Devices + 1][Layers + 1]{};
  for (std::size_t d = 0; d <= Devices; ++d)
    for (std::size_t i = 0; i <= Layers; ++i) rest[d][i] = least[d][i] = impossible;
  rest[Devices][Layers] = 0;
  for (std::size_t i = 0; i <= Layers; ++i) least[Devices][i] = 0;

  for (std::size_t d = Devices; d-- > 0;) {
    std::size_t const after = Devices - 1 - d;  // devices after d: each needs a layer
    for (std::size_t i = d > 0 ? Layers : 1; i-- > d;) {
      if (i + after >= Layers) continue;
      double best = impossible;
      for (std::size_t end = after > 0 ? i + 1 : Layers; end + after <= Layers; ++end) {
        double const own = costs.of(d, i, end);
        double const others = rest[d + 1][end];
        if (own >= best || least[d + 1][end] >= best || limited.of(d, i, end) > limit) break;  // nor will it later
        best = others >= best ? best : own > others ? own : others;  // in one statement: clang counts them
      }
      rest[d][i] = best;
      least[d][i] = std::min(best, least[d][i + 1]);
    }
  }

  layer_cut<Devices> cut{.largest = rest[0][0]};
  if (!cut.exists()) return cut;
  // The first end that is good enough: no later than one that is also within the limit, and so within it as well.
  for (std::size_t d = 0, i = 0; d < Devices; i = cut.ends[d++]) {
    std::size_t end = i + 1;
    while (costs.of(d, i, end) > cut.largest || rest[d + 1][end] > cut.largest) ++end;
    cut.ends[d] = end;
  }
  return cut;
}

template <std::size_t Devices, std::size_t Layers>
[[nodiscard]] constexpr layer_cut<Devices> best_cut(run_costs<Devices, Layers> const& costs) {
  return best_cut(costs, costs, std::numeric_limits<double>::max());
}

/// How fast the devices are, one relative to another; none named: all alike.
template <std::size_t... Speeds>
struct device_weights {
  template <std::size_t Devices>
  static constexpr std::array<double, Devices> speeds() {
    if constexpr (sizeof...(Speeds) == Devices) return {static_cast<double>(Speeds)...};
    std::array<double, Devices> alike{};
    for (double& one : alike) one = 1;
    return alike;
  }
};

/// The slowest device's time is as short as can be.
struct balance_time {
  template <std::size_t Devices, std::size_t Layers>
  static constexpr auto cut(std::array<layer_info, Layers> const& layers, std::array<double, Devices> const& speeds) {
    return best_cut(costs_in_time(layers, speeds));
  }
};

/// The fullest device's memory is as small as can be: bytes as costs_in_bytes counts them.
struct balance_memory {
  template <std::size_t Devices, std::size_t Layers>
  static constexpr auto cut(std::array<layer_info, Layers> const& layers, std::array<double, Devices> const&) {
    return best_cut(costs_in_bytes<Devices>(layers));
  }
};

/// The slowest device's time is as short as can be while no device needs more than Budget: balance_time_within<16_GiB>.
/// Bytes as costs_in_bytes counts them.
template <bytes Budget>
struct balance_time_within {
  static constexpr bytes limit = Budget;

  template <std::size_t Devices, std::size_t Layers>
  static constexpr auto cut(std::array<layer_info, Layers> const& layers, std::array<double, Devices> const& speeds) {
    return best_cut(costs_in_time(layers, speeds), costs_in_bytes<Devices>(layers), static_cast<double>(limit.count));
  }
};

// Facts that errors print.
template <std::size_t N> struct layers_given {};
template <std::size_t N> struct devices_given {};
template <std::size_t Bytes> struct bytes_needed {};
template <std::size_t Bytes> struct bytes_available {};

namespace detail {

template <class T>
inline constexpr bool is_objective = std::same_as<T, balance_time> || std::same_as<T, balance_memory>;
template <bytes Budget>
inline constexpr bool is_objective<balance_time_within<Budget>> = true;

template <class T>
inline constexpr bool is_device_weights = false;
template <std::size_t... Speeds>
inline constexpr bool is_device_weights<device_weights<Speeds...>> = true;

template <std::size_t Devices, class Objective, class Weights>
struct cost_options {
  static_assert(Devices > 0, "mpx::place_by_cost requires its user to name at least one device");
  static_assert(is_objective<Objective>,
                "mpx::place_by_cost requires its objective to be balance_time, balance_memory or "
                "balance_time_within<Budget>");
  static_assert(is_device_weights<Weights>, "mpx::place_by_cost requires its weights to be device_weights<...>");
};
template <std::size_t Devices, class Objective, std::size_t... Speeds>
  requires(Devices > 0 && is_objective<Objective> && sizeof...(Speeds) > 0)
struct cost_options<Devices, Objective, device_weights<Speeds...>> {
  static_assert(sizeof...(Speeds) == Devices && ((Speeds > 0) && ...),
                "mpx::device_weights requires its user to give each device one speed above 0");
  static_assert(!std::same_as<Objective, balance_memory>,
                "mpx::place_by_cost requires balance_memory to have no device_weights: they are speeds");
};

template <class Layers, class Devices, bool Enough>
struct layers_for_devices {
  static_assert(Enough, "mpx::place_by_cost requires at least as many layers as devices");
};
template <class Needed, class Available>
struct devices_within_budget {
  static_assert(!sizeof(Needed),
                "mpx::place_by_cost requires its budget to be at least what the fullest device needs in the best cut");
};

}  // namespace detail

/// Neighbouring layers on host<0> ... host<Devices - 1>, at least one on each, cut where the objective is best; of
/// equally good cuts the one whose first device has the fewest layers, then the second, and so on.
///   place_by_cost<4>                                          time
///   place_by_cost<4, balance_memory>                          bytes
///   place_by_cost<3, balance_time, device_weights<2, 1, 1>>   time, the first device twice as fast
///   place_by_cost<4, balance_time_within<16_GiB>>             time, in bounded memory
/// Errors  compile time: fewer layers than devices; no cut within the budget; weights for some of the devices
template <std::size_t Devices, class Objective = balance_time, class Weights = device_weights<>>
struct place_by_cost {
  using checked = decltype(verdict_on<detail::cost_options<Devices, Objective, Weights>>());

  /// All layers without a device where there is no cut.
  template <std::size_t N>
  static constexpr std::array<device, N> assign(std::array<layer_info, N> const& layers) {
    std::array<device, N> where{};
    auto const cut = Objective::cut(layers, Weights::template speeds<Devices>());
    if (!cut.exists()) return where;
    for (std::size_t d = 0, i = 0; d < Devices; ++d)
      for (; i < cut.ends[d]; ++i) where[i] = {device_kind::host, static_cast<int>(d)};
    return where;
  }

  /// What the plan says of layers without a device.
  template <auto const& Layers, std::size_t N = Layers.size()>
  struct refusal
      : detail::devices_within_budget<
            bytes_needed<static_cast<std::size_t>(best_cut(costs_in_bytes<Devices>(Layers)).largest)>,
            bytes_available<Objective::limit.count>> {};
  template <auto const& Layers, std::size_t N>
    requires(N < Devices)
  struct refusal<Layers, N> : detail::layers_for_devices<layers_given<N>, devices_given<Devices>, N >= Devices> {};
};

}  // namespace mpx
