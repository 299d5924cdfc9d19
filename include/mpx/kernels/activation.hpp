/// @file
/// Activation functions and their derivatives, value by value.
#pragma once

#include <cstddef>

#include <mpx/config/config.hpp>
#include <mpx/core/dtype.hpp>
#include <mpx/kernels/lanes.hpp>
#include <mpx/kernels/math.hpp>

namespace mpx {

struct relu;
struct gelu;
struct gelu_tanh;
struct silu;

}  // namespace mpx

namespace mpx::kernels {

/// What `Function` computes: `value(x)` is f(x), `slope(x)` is f'(x). The functions are named in model/activation.hpp;
/// a user's own function specialises this template.
template <class Function> struct activation_formula;

template <> struct activation_formula<relu> {
  template <class A> static MPX_HOST_DEVICE MPX_INLINE A value(A x) {
    return x < A(0) ? A(0) : x;  // NaN stays NaN
  }
  template <class A> static MPX_HOST_DEVICE MPX_INLINE A slope(A x) { return x > A(0) ? A(1) : A(0); }
};

/// x Phi(x), Phi being the normal distribution. f'(x) = Phi(x) + x phi(x).
/// Source  Hendrycks, Gimpel 2016, arXiv:1606.08415
template <> struct activation_formula<gelu> {
  template <class A> static MPX_HOST_DEVICE MPX_INLINE A value(A x) { return x * below(x); }
  template <class A> static MPX_HOST_DEVICE MPX_INLINE A slope(A x) {
    return below(x) + x * A(0.398942280401432678) * exp(A(-0.5) * x * x);  // 1 / sqrt(2 pi)
  }

 private:
  template <class A> static MPX_HOST_DEVICE MPX_INLINE A below(A x) {
    return A(0.5) + A(0.5) * erf(x * A(0.707106781186547524));  // 1 / sqrt(2)
  }
};

/// x / 2 (1 + tanh(u)), u = sqrt(2 / pi) (x + 0.044715 x^3).
/// Source  Hendrycks, Gimpel 2016, arXiv:1606.08415
template <> struct activation_formula<gelu_tanh> {
  template <class A> static MPX_HOST_DEVICE MPX_INLINE A value(A x) { return A(0.5) * x * (A(1) + bent(x)); }
  template <class A> static MPX_HOST_DEVICE MPX_INLINE A slope(A x) {
    A const t = bent(x);
    return A(0.5) * (A(1) + t) + A(0.5) * x * (A(1) - t * t) * A(root) * (A(1) + A(3 * 0.044715) * x * x);
  }

 private:
  static constexpr double root = 0.797884560802865356;  // sqrt(2 / pi)
  template <class A> static MPX_HOST_DEVICE MPX_INLINE A bent(A x) {
    return tanh(A(root) * (x + A(0.044715) * x * x * x));
  }
};

/// x s(x), s being the sigmoid. f'(x) = s(x) (1 + x (1 - s(x))).
/// Source  Elfwing, Uchibe, Doya 2017, arXiv:1702.03118
template <> struct activation_formula<silu> {
  template <class A> static MPX_HOST_DEVICE MPX_INLINE A value(A x) { return x * sigmoid(x); }
  template <class A> static MPX_HOST_DEVICE MPX_INLINE A slope(A x) {
    A const s = sigmoid(x);
    return s * (A(1) + x * (A(1) - s));
  }
};

/// y[i] = f(x[i])
/// Shapes  y, x: [n]
template <class Function, lanes L, class T>
MPX_HOST_DEVICE MPX_INLINE void activate(L const& along, T* y, T const* x, std::size_t n) {
  using A = accumulator_t<T>;
  along.each(n, [=](std::size_t i) { y[i] = T(activation_formula<Function>::value(A(x[i]))); });
}

/// dx[i] = f'(x[i]) dy[i]
/// Shapes  dx, dy, x: [n]
template <class Function, lanes L, class T>
MPX_HOST_DEVICE MPX_INLINE void activation_gradient(L const& along, T* dx, T const* dy, T const* x, std::size_t n) {
  using A = accumulator_t<T>;
  along.each(n, [=](std::size_t i) { dx[i] = T(activation_formula<Function>::slope(A(x[i])) * A(dy[i])); });
}

/// y[i] = f(gate[i]) value[i]
/// Shapes  y, gate, value: [n]
/// Source  Shazeer 2020, arXiv:2002.05202
template <class Function, lanes L, class T>
MPX_HOST_DEVICE MPX_INLINE void gated_row(L const& along, T* y, T const* gate, T const* value, std::size_t n) {
  using A = accumulator_t<T>;
  along.each(n, [=](std::size_t i) { y[i] = T(activation_formula<Function>::value(A(gate[i])) * A(value[i])); });
}

/// dgate[i] = f'(gate[i]) value[i] dy[i], dvalue[i] = f(gate[i]) dy[i]
/// Shapes  dgate, dvalue, dy, gate, value: [n]
template <class Function, lanes L, class T>
MPX_HOST_DEVICE MPX_INLINE void gated_gradient_row(L const& along, T* dgate, T* dvalue, T const* dy, T const* gate,
                                                   T const* value, std::size_t n) {
  using A = accumulator_t<T>;
  along.each(n, [=](std::size_t i) {
    A const g = gate[i], d = dy[i];
    dgate[i] = T(activation_formula<Function>::slope(g) * A(value[i]) * d);
    dvalue[i] = T(activation_formula<Function>::value(g) * d);
  });
}

}  // namespace mpx::kernels
