/// @file
/// Trainable tensors, described.
#pragma once

#include <cstddef>

#include <mpx/core/fixed_string.hpp>
#include <mpx/core/shape.hpp>

namespace mpx {

/// How a parameter begins. `deviation(fan_in, fan_out)` is the standard deviation; `uniform` its distribution.
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

/// A tensor that training changes.
/// Shapes  `Shape`, [out, in] for weights
template <fixed_string Name, class Shape, class Init>
struct parameter {
  using label = name<Name>;
  using shape = Shape;
  using init = Init;
  using tied_to = name<"">;
};

/// A parameter with the values of another one, named in full; their gradients are summed wherever the two live.
template <fixed_string Name, class Shape, fixed_string Other>
struct tied_parameter {
  using label = name<Name>;
  using shape = Shape;
  using init = init::zeros;
  using tied_to = name<Other>;
};

}  // namespace mpx
