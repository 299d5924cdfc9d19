/// @file
/// Normalisation of each row.
#pragma once

#include <array>
#include <cstddef>

#include <mpx/model/layer.hpp>

namespace mpx {

/// y = (x - mean) / sqrt(variance + 1e-5) * weight + bias, over each row.
/// Shapes  x, y: [B, T, C]; weight, bias: [C]
/// Source  Ba, Kiros, Hinton 2016, arXiv:1607.06450
template <std::size_t C, axis Axis = axis::target>
struct layer_norm : layer_defaults {
  static constexpr std::size_t width = C;
  static constexpr axis on = Axis;
  using row_label = name<"norm">;
  using takes = message<stream<"x", C, Axis>>;
  using gives = takes;
  using parameters =
      boost::hana::tuple<parameter<"norm.weight", shape<C>, init::ones>, parameter<"norm.bias", shape<C>, init::zeros>>;
  static constexpr std::array<tensor_extent, 3> saves{
      {{Axis, C}, {Axis, 1, element::accumulate}, {Axis, 1, element::accumulate}}};  // x, mean, 1 / deviation
  static constexpr bool keeps_input = true;
};

/// y = x / sqrt(mean(x^2) + 1e-5) * weight, over each row.
/// Shapes  x, y: [B, T, C]; weight: [C]
/// Source  Zhang, Sennrich 2019, arXiv:1910.07467
template <std::size_t C, axis Axis = axis::target>
struct rms_norm : layer_defaults {
  static constexpr std::size_t width = C;
  static constexpr axis on = Axis;
  using row_label = name<"norm">;
  using takes = message<stream<"x", C, Axis>>;
  using gives = takes;
  using parameters = boost::hana::tuple<parameter<"norm.weight", shape<C>, init::ones>>;
  static constexpr std::array<tensor_extent, 2> saves{{{Axis, C}, {Axis, 1, element::accumulate}}};  // x, 1 / rms
  static constexpr bool keeps_input = true;
};

}  // namespace mpx
