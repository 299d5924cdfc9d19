/// @file
/// A dense layer, described.
#pragma once

#include <array>
#include <cstddef>
#include <type_traits>

#include <mpx/model/layer.hpp>
#include <mpx/model/options.hpp>

namespace mpx {

/// y = x W^T + b, or x W^T when `Bias` is unbiased.
/// Shapes  x: [B, T, In], y: [B, T, Out], W: [Out, In], b: [Out]
template <std::size_t In, std::size_t Out, axis Axis = axis::target, class Init = init::xavier_uniform,
          class Bias = biased>
struct linear : layer_defaults {
  static constexpr std::size_t in = In;
  static constexpr std::size_t out = Out;
  static constexpr bool has_bias = std::is_same_v<Bias, biased>;
  using row_label = name<"linear">;
  using takes = message<stream<"x", In, Axis>>;
  using gives = message<stream<"x", Out, Axis>>;
  using weight = parameter<"weight", shape<Out, In>, Init>;
  using bias = parameter<"bias", shape<Out>, init::zeros>;
  using parameters = std::conditional_t<has_bias, boost::hana::tuple<weight, bias>, boost::hana::tuple<weight>>;
  static constexpr std::array<tensor_extent, 1> saves{{{Axis, In}}};
  static constexpr bool keeps_input = true;
  static constexpr double flops(extents const& e) { return 2.0 * e.rows(Axis) * In * Out; }
};

/// logits = x W^T, from the model's width to its vocabulary; x W^T / sqrt(C) when `Scaled`.
/// Shapes  x: [B, T, C], logits: [B, T, V], W: [V, C]
template <std::size_t C, std::size_t V, class Weight = parameter<"weight", shape<V, C>, init::normal<20>>,
          bool Scaled = false>
struct language_head : layer_defaults {
  static constexpr std::size_t in = C;
  static constexpr std::size_t out = V;
  static constexpr bool has_bias = false;
  using row_label = name<"head">;
  using takes = message<stream<"x", C>>;
  using gives = message<stream<"x", V>>;
  using parameters = boost::hana::tuple<Weight>;
  static constexpr std::array<tensor_extent, 1> saves{{{axis::target, C}}};
  static constexpr std::array<tensor_extent, 1> forward_scratch{{{axis::target, Scaled ? C : 0}}};  // x / sqrt(C)
  static constexpr std::array<tensor_extent, 1> backward_scratch = forward_scratch;
  static constexpr bool keeps_input = true;
  static constexpr double flops(extents const& e) { return 2.0 * e.rows(axis::target) * C * V; }
};

/// A head that shares the table of the parameter with this full name, for example "embedding.token.weight".
template <std::size_t C, std::size_t V, fixed_string Table>
using tied_language_head = language_head<C, V, tied_parameter<"weight", shape<V, C>, Table>>;

}  // namespace mpx
