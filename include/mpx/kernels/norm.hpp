/// @file
/// layer_norm and rms_norm of one row, and their gradients.
#pragma once

#include <cmath>
#include <cstddef>

#include <mpx/config/config.hpp>
#include <mpx/core/dtype.hpp>
#include <mpx/kernels/lanes.hpp>

namespace mpx::kernels {

/// Keeps the deviation of a constant row away from zero.
/// Units   those of the row, squared
template <class A> inline constexpr A norm_epsilon = A(1e-5);

/// y[c] = (x[c] - mean) * rstd * weight[c] + bias[c], rstd = 1 / sqrt(mean((x - mean)^2) + 1e-5).
/// Shapes  y, x, weight, bias: [width]; mean, rstd: one value each, kept for backward
/// Source  Ba, Kiros, Hinton 2016, arXiv:1607.06450
template <lanes L, class T>
MPX_HOST_DEVICE MPX_INLINE void layer_norm_row(L const& along, T* y, accumulator_t<T>* mean, accumulator_t<T>* rstd,
                                               T const* x, T const* weight, T const* bias, std::size_t width) {
  using A = accumulator_t<T>;
  A const share = A(1) / static_cast<A>(width);
  A const m = along.sum(width, [=](std::size_t c) { return A(x[c]); }) * share;
  A const variance = along.sum(width, [=](std::size_t c) {
    A const centred = A(x[c]) - m;
    return centred * centred;
  }) * share;
  A const r = A(1) / std::sqrt(variance + norm_epsilon<A>);
  along.each(width, [=](std::size_t c) { y[c] = T((A(x[c]) - m) * r * A(weight[c]) + A(bias[c])); });
  *mean = m;
  *rstd = r;
}

/// dx[c] = rstd * (g[c] - mean(g) - xhat[c] * mean(g * xhat)), g = dy * weight, xhat = (x - mean) * rstd.
/// Shapes  dx, dy, x, weight: [width]
template <lanes L, class T, class A = accumulator_t<T>>
MPX_HOST_DEVICE MPX_INLINE void layer_norm_gradient_row(L const& along, T* dx, T const* dy, T const* x, A mean, A rstd,
                                                        T const* weight, std::size_t width) {
  A const share = A(1) / static_cast<A>(width);
  A const g_mean = along.sum(width, [=](std::size_t c) { return A(dy[c]) * A(weight[c]); }) * share;
  A const product_mean =
      along.sum(width, [=](std::size_t c) { return A(dy[c]) * A(weight[c]) * ((A(x[c]) - mean) * rstd); }) * share;
  along.each(width, [=](std::size_t c) {
    A const xhat = (A(x[c]) - mean) * rstd;
    dx[c] = T(rstd * (A(dy[c]) * A(weight[c]) - g_mean - xhat * product_mean));
  });
}

/// One row's share of the parameters' gradients: dweight[c] += dy[c] * xhat[c], dbias[c] += dy[c].
/// Shapes  dweight, dbias, dy, x: [width]
template <lanes L, class T, class A = accumulator_t<T>>
MPX_HOST_DEVICE MPX_INLINE void layer_norm_parameter_gradient_row(L const& along, A* dweight, A* dbias, T const* dy,
                                                                  T const* x, A mean, A rstd, std::size_t width) {
  along.each(width, [=](std::size_t c) {
    A const slope = dy[c];
    dweight[c] += slope * ((A(x[c]) - mean) * rstd);
    dbias[c] += slope;
  });
}

/// y[c] = x[c] * rstd * weight[c], rstd = 1 / sqrt(mean(x^2) + 1e-5).
/// Shapes  y, x, weight: [width]; rstd: one value, kept for backward
/// Source  Zhang, Sennrich 2019, arXiv:1910.07467
template <lanes L, class T>
MPX_HOST_DEVICE MPX_INLINE void rms_norm_row(L const& along, T* y, accumulator_t<T>* rstd, T const* x, T const* weight,
                                             std::size_t width) {
  using A = accumulator_t<T>;
  A const square = along.sum(width, [=](std::size_t c) {
    A const value = x[c];
    return value * value;
  });
  A const r = A(1) / std::sqrt(square / static_cast<A>(width) + norm_epsilon<A>);
  along.each(width, [=](std::size_t c) { y[c] = T(A(x[c]) * r * A(weight[c])); });
  *rstd = r;
}

/// dx[c] = rstd * (g[c] - xhat[c] * mean(g * xhat)), g = dy * weight, xhat = x * rstd.
/// Shapes  dx, dy, x, weight: [width]
template <lanes L, class T, class A = accumulator_t<T>>
MPX_HOST_DEVICE MPX_INLINE void rms_norm_gradient_row(L const& along, T* dx, T const* dy, T const* x, A rstd,
                                                      T const* weight, std::size_t width) {
  A const product = along.sum(width, [=](std::size_t c) { return A(dy[c]) * A(weight[c]) * (A(x[c]) * rstd); });
  A const product_mean = product / static_cast<A>(width);
  along.each(width, [=](std::size_t c) {
    A const xhat = A(x[c]) * rstd;
    dx[c] = T(rstd * (A(dy[c]) * A(weight[c]) - xhat * product_mean));
  });
}

/// One row's share of the weight's gradient: dweight[c] += dy[c] * xhat[c].
/// Shapes  dweight, dy, x: [width]
template <lanes L, class T, class A = accumulator_t<T>>
MPX_HOST_DEVICE MPX_INLINE void rms_norm_parameter_gradient_row(L const& along, A* dweight, T const* dy, T const* x,
                                                                A rstd, std::size_t width) {
  along.each(width, [=](std::size_t c) { dweight[c] += A(dy[c]) * (A(x[c]) * rstd); });
}

}  // namespace mpx::kernels
