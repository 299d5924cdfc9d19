/// @file
/// Casts and sums, element by element.
#pragma once

#include <cstddef>

#include <mpx/config/config.hpp>
#include <mpx/core/dtype.hpp>
#include <mpx/kernels/lanes.hpp>

namespace mpx::kernels {

/// to[i] = from[i], rounded to nearest, ties to even.
template <lanes L, class T, class A = accumulator_t<T>>
MPX_HOST_DEVICE MPX_INLINE void cast(L const& along, T* to, A const* from, std::size_t n) {
  along.each(n, [=](std::size_t i) { to[i] = T(from[i]); });
}

/// y[i] += x[i], added in A.
template <lanes L, class T> MPX_HOST_DEVICE MPX_INLINE void add(L const& along, T* y, T const* x, std::size_t n) {
  using A = accumulator_t<T>;
  along.each(n, [=](std::size_t i) { y[i] = T(A(y[i]) + A(x[i])); });
}

/// y[i] = factor * x[i]; y may be x.
template <lanes L, class T, class A = accumulator_t<T>>
MPX_HOST_DEVICE MPX_INLINE void scale(L const& along, T* y, T const* x, A factor, std::size_t n) {
  along.each(n, [=](std::size_t i) { y[i] = T(factor * A(x[i])); });
}

/// sum[i] += x[i]: one row's share of a sum over rows.
template <lanes L, class T, class A = accumulator_t<T>>
MPX_HOST_DEVICE MPX_INLINE void add_to_sum(L const& along, A* sum, T const* x, std::size_t n) {
  along.each(n, [=](std::size_t i) { sum[i] += A(x[i]); });
}

/// The sum of x[i]^2; not finite when any x[i] is not.
template <lanes L, class A> MPX_HOST_DEVICE MPX_INLINE A sum_of_squares(L const& along, A const* x, std::size_t n) {
  return along.sum(n, [=](std::size_t i) { return x[i] * x[i]; });
}

}  // namespace mpx::kernels
