/// @file
/// Rows of a table: what token embeddings and positions do with them.
#pragma once

#include <cmath>
#include <cstddef>

#include <mpx/config/config.hpp>
#include <mpx/core/dtype.hpp>
#include <mpx/kernels/lanes.hpp>

namespace mpx::kernels {

/// y[c] = row[c] * factor, row being the token's row of the table.
/// Shapes  y, row: [width]
template <lanes L, class T, class A = accumulator_t<T>>
MPX_HOST_DEVICE MPX_INLINE void embedding_row(L const& along, T* y, T const* row, A factor, std::size_t width) {
  along.each(width, [=](std::size_t c) { y[c] = T(A(row[c]) * factor); });
}

/// drow[c] += dy[c] * factor: one token's share of its row's gradient.
/// Shapes  drow, dy: [width]
template <lanes L, class T, class A = accumulator_t<T>>
MPX_HOST_DEVICE MPX_INLINE void embedding_gradient_row(L const& along, A* drow, T const* dy, A factor,
                                                       std::size_t width) {
  along.each(width, [=](std::size_t c) { drow[c] += A(dy[c]) * factor; });
}

/// y[c] = x[c] + row[c], row being the position's row of the table.
/// Shapes  y, x, row: [width]; y may be x
template <lanes L, class T>
MPX_HOST_DEVICE MPX_INLINE void position_row(L const& along, T* y, T const* x, T const* row, std::size_t width) {
  using A = accumulator_t<T>;
  along.each(width, [=](std::size_t c) { y[c] = T(A(x[c]) + A(row[c])); });
}

/// What the table holds at this position and channel: sin(position / 10000^(2i / width)) for channel 2i, the cosine of
/// the same for channel 2i + 1. Worked out in f64, once per run.
/// Source  Vaswani et al. 2017, arXiv:1706.03762, section 3.5
MPX_HOST_DEVICE inline double sinusoidal_position(std::size_t position, std::size_t channel, std::size_t width) {
  auto const exponent = static_cast<double>(channel / 2 * 2) / static_cast<double>(width);
  double const angle = static_cast<double>(position) / std::pow(10000.0, exponent);
  return channel % 2 == 0 ? std::sin(angle) : std::cos(angle);
}

}  // namespace mpx::kernels
