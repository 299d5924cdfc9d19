/// @file
/// Dense layers at work.
#pragma once

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
struct execution<language_head<W, V, Weight>> : detail::linear_execution<language_head<W, V, Weight>> {};

}  // namespace mpx
