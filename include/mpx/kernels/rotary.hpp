/// @file
/// Positions as angles: pairs of columns that turn as a sequence goes on.
#pragma once

#include <cmath>
#include <cstddef>

#include <mpx/config/config.hpp>
#include <mpx/core/dtype.hpp>
#include <mpx/kernels/lanes.hpp>

namespace mpx::kernels {

/// The angle from one token to the next for columns 2 pair and 2 pair + 1 of a head: base^(-2 pair / head_width).
/// Source  Su et al. 2021, arXiv:2104.09864, equation 15
MPX_HOST_DEVICE inline double rotary_frequency(std::size_t pair, std::size_t head_width, std::size_t base) {
  return std::pow(static_cast<double>(base), -2.0 * static_cast<double>(pair) / static_cast<double>(head_width));
}

/// (x[2i], x[2i+1]) = (x[2i] cos - x[2i+1] sin, x[2i] sin + x[2i+1] cos), the angle being pair i's.
/// Shapes  x: [2 pairs]; cosine, sine: [pairs]
template <lanes L, class T, class A = accumulator_t<T>>
MPX_HOST_DEVICE MPX_INLINE void rotate_pairs(L const& along, T* x, A const* cosine, A const* sine, std::size_t pairs) {
  along.each(pairs, [=](std::size_t i) {
    A const a = x[2 * i], b = x[2 * i + 1];
    x[2 * i] = T(a * cosine[i] - b * sine[i]);
    x[2 * i + 1] = T(a * sine[i] + b * cosine[i]);
  });
}

}  // namespace mpx::kernels
