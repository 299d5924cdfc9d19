/// @file
/// Dense layers at work.
#pragma once

#include <cmath>
#include <cstddef>

#include <mpx/backend/operations.hpp>
#include <mpx/layer/context.hpp>
#include <mpx/model/linear.hpp>

namespace mpx {

namespace detail {

/// y = x W^T + b and its gradients, for any layer with `in`, `out`, `has_bias` and weights [out, in], bias [out].
template <class L>
struct linear_execution : no_constants {
  static constexpr axis on = only_stream_t<typename L::takes>::on;

  template <class C, class T>
  static void forward(C const& c, T const* weights, T const*, T const* x, T* y, std::byte*) {
    T const* bias = nullptr;
    if constexpr (L::has_bias) bias = weights + parameter_offset<L, 1>;
    c.machine.gemm({.m = rows(c), .n = L::out, .k = L::in, .transpose_b = true}, x, weights, y, bias);
  }

  template <class C, class T, class A>
  static void backward(C const& c, T const* weights, A* gradients, T const*, T const* dy, T* dx, std::byte* saved) {
    T const* const x = reinterpret_cast<T const*>(saved);
    T const* const none = nullptr;
    c.machine.gemm({.m = L::out, .n = L::in, .k = rows(c), .transpose_a = true, .accumulate = true}, dy, x, gradients, none);
    if constexpr (L::has_bias) c.machine.column_sum(gradients + parameter_offset<L, 1>, dy, rows(c), L::out);
    c.machine.gemm({.m = rows(c), .n = L::in, .k = L::out}, dy, weights, dx, none);
  }

 private:
  template <class C>
  static std::size_t rows(C const& c) {
    return static_cast<std::size_t>(c.rows(on));
  }
};

}  // namespace detail

template <std::size_t In, std::size_t Out, axis Axis, class Init, class Bias>
struct execution<linear<In, Out, Axis, Init, Bias>> : detail::linear_execution<linear<In, Out, Axis, Init, Bias>> {};

template <std::size_t W, std::size_t V, class Weight>
struct execution<language_head<W, V, Weight, false>> : detail::linear_execution<language_head<W, V, Weight, false>> {};

/// The input is divided by sqrt(W), not the logits: that takes V / W times less.
template <std::size_t W, std::size_t V, class Weight>
struct execution<language_head<W, V, Weight, true>> : no_constants {
  using layer = language_head<W, V, Weight, true>;
  using product = detail::linear_execution<layer>;

  template <class C, class T>
  static void forward(C const& c, T const* weights, T const* constants, T const* x, T* y, std::byte* saved) {
    typename scratch_space::frame const frame(c.scratch);
    product::forward(c, weights, constants, divided(c, x), y, saved);
  }

  template <class C, class T, class A>
  static void backward(C const& c, T const* weights, A* gradients, T const* constants, T const* dy, T* dx,
                       std::byte* saved) {
    typename scratch_space::frame const frame(c.scratch);
    T* const x = divided(c, reinterpret_cast<T const*>(saved));
    product::backward(c, weights, gradients, constants, dy, dx, reinterpret_cast<std::byte*>(x));
    c.machine.scale(dx, dx, factor<A>(), elements(c));
  }

 private:
  template <class A>
  static A factor() {
    return A(1) / std::sqrt(static_cast<A>(W));
  }
  template <class C>
  static std::size_t elements(C const& c) {
    return static_cast<std::size_t>(c.rows(axis::target)) * W;
  }
  /// x / sqrt(W), in scratch.
  template <class C, class T>
  static T* divided(C const& c, T const* x) {
    T* const y = c.template take<T>(layer::forward_scratch[0]);
    c.machine.scale(y, x, factor<typename C::accumulate>(), elements(c));
    return y;
  }
};

}  // namespace mpx
