/// @file
/// Trainable tensors, described.
#pragma once

#include <cstddef>

#include <mpx/core/diagnostic.hpp>
#include <mpx/core/fixed_string.hpp>
#include <mpx/core/layout.hpp>
#include <mpx/core/shape.hpp>

namespace mpx {

/// How a parameter begins: around `mean`, with `variance(fan_in, fan_out)`, uniformly distributed or normally.
namespace init {

struct zeros {
  static constexpr float mean = 0.0f;
  static constexpr bool uniform = false;
  static constexpr float variance(std::size_t, std::size_t) { return 0.0f; }
};

struct ones : zeros {
  static constexpr float mean = 1.0f;
};

/// Source  Glorot, Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks"
struct xavier_uniform {
  static constexpr float mean = 0.0f;
  static constexpr bool uniform = true;
  static constexpr float variance(std::size_t in, std::size_t out) { return 2.0f / static_cast<float>(in + out); }
};

/// Variance 1 / columns: rows of unit expected norm, as an embedding that is multiplied by sqrt(width) wants.
struct unit_rows {
  static constexpr float mean = 0.0f;
  static constexpr bool uniform = false;
  static constexpr float variance(std::size_t in, std::size_t) { return 1.0f / static_cast<float>(in); }
};

/// Normal with standard deviation Thousandths / 1000, its variance divided by `Parts` (GPT-2's residual projections
/// use 20 thousandths and two parts for each layer).
template <std::size_t Thousandths, std::size_t Parts = 1>
struct normal {
  static constexpr float mean = 0.0f;
  static constexpr bool uniform = false;
  static constexpr float variance(std::size_t, std::size_t) {
    return static_cast<float>(Thousandths * Thousandths) / (1e6f * static_cast<float>(Parts));
  }
};

/// Normal with variance 1 / N.
template <std::size_t N>
struct one_over : unit_rows {
  static constexpr float variance(std::size_t, std::size_t) { return 1.0f / static_cast<float>(N); }
};

/// As Init, but the first of `Parts` equal parts with its variance divided by `Divisor`.
template <class Init, std::size_t Parts, std::size_t Divisor>
struct smaller_first : Init {
  static constexpr std::size_t parts = Parts;
  static constexpr std::size_t divisor = Divisor;
};

}  // namespace init

/// How a parameter lies over the tensor ranks: sharded_0 divides dimension 0 (outputs, vocabulary), sharded_1 dimension
/// 1 (inputs). A dimension of several equal parts, such as q, k and v, is divided part by part.
/// Errors  compile time: another spread, which would leave a gradient that nobody reduces
template <spread Spread = spread::invariant, std::size_t Parts = 1>
struct over_tensor {
  static_assert(Spread == spread::invariant || sharded(Spread),
                "mpx::over_tensor requires its spread to be invariant, sharded_0 or sharded_1");
  static constexpr spread spread_over_tensor = Spread;
  static constexpr std::size_t parts = Parts;
};

/// Each tensor rank has a slice of the outputs; of a table, a slice of the vocabulary.
using sharded_outputs = over_tensor<spread::sharded_0>;
/// Each tensor rank has a slice of the inputs.
using sharded_inputs = over_tensor<spread::sharded_1>;

namespace detail {

template <class Shape, class Over>
struct sharded_dimension {
  static_assert(Over::spread_over_tensor != spread::sharded_1 || Shape::rank >= 2,
                "mpx::parameter requires a dimension that is divided to exist: a vector has outputs alone");
};

}  // namespace detail

/// A tensor that training changes. Its layout says how its gradient is reduced, how its norm is taken, and which slice
/// of a checkpoint a rank reads: none of these is said anywhere else.
/// Shapes  `Shape` on the whole mesh, [out, in] for weights
template <fixed_string Name, class Shape, class Init, class Over = over_tensor<>>
struct parameter {
  using label = name<Name>;
  using shape = Shape;
  using init = Init;
  using over = Over;
  using tied_to = name<"">;
  using checked = decltype(verdict_on<detail::sharded_dimension<Shape, Over>>());
};

/// A parameter with the values of another one, named in full; their gradients are summed wherever the two live.
template <fixed_string Name, class Shape, fixed_string Other, class Over = over_tensor<>>
struct tied_parameter {
  using label = name<Name>;
  using shape = Shape;
  using init = init::zeros;
  using over = Over;
  using tied_to = name<Other>;
};

/// Where a parameter is, on each axis of the mesh.
template <class Parameter>
inline constexpr layout layout_of = parameter_layout(Parameter::over::spread_over_tensor);

/// Elements of a parameter that one of `ranks` tensor ranks holds.
template <class Parameter>
[[nodiscard]] constexpr std::size_t elements_on_rank(std::size_t ranks) {
  return sharded(Parameter::over::spread_over_tensor) ? Parameter::shape::size / ranks : Parameter::shape::size;
}

}  // namespace mpx
