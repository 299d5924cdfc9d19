/// @file
/// Activations and dropout at work.
#pragma once

#include <mpx/backend/operations.hpp>
#include <mpx/layer/context.hpp>
#include <mpx/model/activation.hpp>

namespace mpx {

template <class Function, std::size_t W, axis Axis> struct execution<activation<Function, W, Axis>> : no_constants {
  template <class C, class T> static void forward(C const& c, T const*, T const*, T const* x, T* y, std::byte*) {
    c.machine.template activation_forward<Function>(y, x, static_cast<std::size_t>(c.rows(Axis)) * W);
  }
  template <class C, class T, class A>
  static void backward(C const& c, T const*, A*, T const*, T const* dy, T* dx, std::byte* saved) {
    c.machine.template activation_backward<Function>(dx, dy, reinterpret_cast<T const*>(saved),
                                                     static_cast<std::size_t>(c.rows(Axis)) * W);
  }
};

template <class Function, std::size_t F, axis Axis>
struct execution<gated_activation<Function, F, Axis>> : no_constants {
  template <class C, class T> static void forward(C const& c, T const*, T const*, T const* x, T* y, std::byte*) {
    c.machine.template gated_forward<Function>(y, x, static_cast<std::size_t>(c.rows(Axis)), F);
  }
  template <class C, class T, class A>
  static void backward(C const& c, T const*, A*, T const*, T const* dy, T* dx, std::byte* saved) {
    c.machine.template gated_backward<Function>(dx, dy, reinterpret_cast<T const*>(saved),
                                                static_cast<std::size_t>(c.rows(Axis)), F);
  }
};

template <std::size_t W, axis Axis> struct execution<dropout<W, Axis>> : no_constants {
  template <class C, class T> static void forward(C const& c, T const*, T const*, T const* x, T* y, std::byte*) {
    c.machine.dropout(y, x, draw(c), c.size.sequences, c.size.tokens_on(Axis), W);
  }
  template <class C, class T, class A>
  static void backward(C const& c, T const*, A*, T const*, T const* dy, T* dx, std::byte*) {
    c.machine.dropout(dx, dy, draw(c), c.size.sequences, c.size.tokens_on(Axis), W);
  }

 private:
  template <class C> static dropout_draw draw(C const& c) {
    return {.key = mixed_key(c.step.seed, c.key),
            .step = c.step.step,
            .first_sequence = c.first_sequence,
            .rate = c.step.mode == run_mode::training ? c.step.dropout : 0.0f};
  }
};

}  // namespace mpx
