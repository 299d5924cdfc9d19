/// @file
/// Element-wise functions and dropout.
#pragma once

#include <array>
#include <cstddef>

#include <mpx/model/layer.hpp>

namespace mpx {

/// Which function an activation layer applies; each formula stands in kernels/activation.hpp.
struct relu {};
struct gelu {};       ///< x * Phi(x), exact. Source  Hendrycks, Gimpel 2016, arXiv:1606.08415
struct gelu_tanh {};  ///< the tanh approximation of the same paper
struct silu {};       ///< x * sigmoid(x)

/// y = f(x), element by element.
/// Shapes  x, y: [B, T, C]
template <class Function, std::size_t C, axis Axis = axis::target, spread OverTensor = spread::invariant>
struct activation : layer_defaults {
  static constexpr std::size_t width = C;
  static constexpr axis on = Axis;
  using function = Function;
  using row_label = name<"activation">;
  using takes = message<stream<"x", C, Axis, OverTensor>>;
  using gives = takes;
  using parameters = boost::hana::tuple<>;
  static constexpr std::array<tensor_extent, 1> saves{{{Axis, C, element::compute, per::token, OverTensor}}};
  static constexpr bool keeps_input = true;
};

/// y = f(gate) * value, element by element; x holds the gates, then the values.
/// Shapes  x: [B, T, 2 F], y: [B, T, F]
/// Source  Shazeer 2020, arXiv:2002.05202 (SwiGLU when f is silu)
template <class Function, std::size_t F, axis Axis = axis::target, spread OverTensor = spread::invariant>
struct gated_activation : layer_defaults {
  static constexpr std::size_t width = F;
  static constexpr axis on = Axis;
  using function = Function;
  using row_label = name<"activation">;
  static constexpr std::size_t parts = sharded(OverTensor) ? 2 : 1;
  using takes = message<stream<"x", 2 * F, Axis, OverTensor, parts>>;
  using gives = message<stream<"x", F, Axis, OverTensor>>;
  using parameters = boost::hana::tuple<>;
  static constexpr std::array<tensor_extent, 1> saves{{{Axis, 2 * F, element::compute, per::token, OverTensor}}};
  static constexpr bool keeps_input = true;
};

/// Each element is zero with the trainer's dropout rate, else divided by (1 - rate); nothing changes in evaluation.
/// The mask is drawn again in backward from (seed, step, layer, sequence, token, channel), so it is never stored.
/// Shapes  x, y: [B, T, C]
/// Source  Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting"
template <std::size_t C, axis Axis = axis::target, spread OverTensor = spread::invariant>
struct dropout : layer_defaults {
  static constexpr std::size_t width = C;
  static constexpr axis on = Axis;
  using row_label = name<"dropout">;
  using takes = message<stream<"x", C, Axis, OverTensor>>;
  using gives = takes;
  using parameters = boost::hana::tuple<>;
  static constexpr bool in_place = true;
};

/// dropout(relu(x)) in place. y says by its signs what passed, so neither x nor a mask is kept, and backward draws no words.
/// Shapes  x, y: [B, T, C]
template <std::size_t C, axis Axis = axis::target, spread OverTensor = spread::invariant>
struct relu_dropout : layer_defaults {
  static constexpr std::size_t width = C;
  static constexpr axis on = Axis;
  using row_label = name<"activation">;
  using takes = message<stream<"x", C, Axis, OverTensor>>;
  using gives = takes;
  using parameters = boost::hana::tuple<>;
  static constexpr bool in_place = true;
  static constexpr bool reads_output = true;
};

}  // namespace mpx
