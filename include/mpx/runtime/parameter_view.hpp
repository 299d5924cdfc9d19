/// @file
/// A stage's parameters as the runtime hands them on: where each is, and what is there.
#pragma once

#include <cstddef>

#include <mpx/core/dtype.hpp>
#include <mpx/core/layout.hpp>
#include <mpx/plan/parameter_table.hpp>
#include <mpx/policy/sharding.hpp>
#include <mpx/tensor/view.hpp>

namespace mpx {

/// A parameter in memory, or a run of its elements, as its rank holds it.
template <class T>
struct parameter_view {
  using accumulate = accumulator_t<T>;
  std::size_t layer = 0;  ///< row in the model
  std::size_t index = 0;  ///< within its layer
  parameter_info const* info = nullptr;
  std::size_t first = 0;    ///< where the run begins within the parameter
  std::size_t count = 0;    ///< elements
  std::size_t portion = 0;  ///< number of the run's first portion within its layer
  bool shared = false;      ///< another holder on its device has the master, states and weights, and updates them
  accumulate* master = nullptr;      ///< null where this data rank holds slices of it, and the view is of a whole parameter
  accumulate* gradient = nullptr;
  accumulate* states = nullptr;      ///< the first of the optimizer's; the next ones follow at `state_stride`; null as above
  std::size_t state_stride = 0;
  T* weights = nullptr;  ///< null when the master is what the layers read
};

/// Portions of a parameter: its squares are added up one by one, and data ranks divide it between two of them.
[[nodiscard]] constexpr std::size_t portions_of(parameter_info const& p) { return portions_in(p.count); }

/// A run of a parameter in memory whose layout is known: what norm and update work on.
template <class T, layout Weight, layout Gradient, device_kind Where>
struct typed_parameter {
  using accumulate = accumulator_t<T>;
  parameter_view<T> const& at;

  [[nodiscard]] auto master() const { return tensor_view<accumulate, Weight, Where>{at.master}; }
  [[nodiscard]] auto weights() const { return tensor_view<T, Weight, Where>{at.weights}; }
  [[nodiscard]] auto gradient() const { return tensor_view<accumulate, Gradient, Where>{at.gradient}; }
};

}  // namespace mpx
