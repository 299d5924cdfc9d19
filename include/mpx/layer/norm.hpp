/// @file
/// Norms at work.
#pragma once

#include <mpx/layer/context.hpp>
#include <mpx/model/norm.hpp>

namespace mpx {

template <std::size_t W, axis Axis>
struct execution<layer_norm<W, Axis>> : no_constants {
  using layer = layer_norm<W, Axis>;
  static constexpr std::size_t bias = parameter_offset<layer, 1>;

  template <class C, class T>
  static void forward(C const& c, T const* weights, T const*, T const* x, T* y, std::byte* saved) {
    using A = typename C::accumulate;
    saved_tensors<layer, C> const kept(c, saved);
    c.machine.layer_norm_forward(y, kept.template get<A>(1), kept.template get<A>(2), x, weights, weights + bias,
                                 static_cast<std::size_t>(c.rows(Axis)), W);
  }
  template <class C, class T, class A>
  static void backward(C const& c, T const* weights, A* gradients, T const*, T const* dy, T* dx, std::byte* saved) {
    saved_tensors<layer, C> const kept(c, saved);
    c.machine.layer_norm_backward(dx, gradients, gradients + bias, dy, kept.template get<T const>(0),
                                  kept.template get<A const>(1), kept.template get<A const>(2), weights,
                                  static_cast<std::size_t>(c.rows(Axis)), W);
  }
};

template <std::size_t W, axis Axis>
struct execution<rms_norm<W, Axis>> : no_constants {
  using layer = rms_norm<W, Axis>;

  template <class C, class T>
  static void forward(C const& c, T const* weights, T const*, T const* x, T* y, std::byte* saved) {
    saved_tensors<layer, C> const kept(c, saved);
    c.machine.rms_norm_forward(y, kept.template get<typename C::accumulate>(1), x, weights,
                               static_cast<std::size_t>(c.rows(Axis)), W);
  }
  template <class C, class T, class A>
  static void backward(C const& c, T const* weights, A* gradients, T const*, T const* dy, T* dx, std::byte* saved) {
    saved_tensors<layer, C> const kept(c, saved);
    c.machine.rms_norm_backward(dx, gradients, dy, kept.template get<T const>(0), kept.template get<A const>(1), weights,
                                static_cast<std::size_t>(c.rows(Axis)), W);
  }
};

}  // namespace mpx
