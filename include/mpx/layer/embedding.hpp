/// @file
/// Embeddings and positions at work.
#pragma once

#include <cmath>

#include <mpx/layer/context.hpp>
#include <mpx/model/embedding.hpp>

namespace mpx {

// Known by its members: nvcc never chooses a partial specialisation over a string argument.
template <class Layer>
  requires requires { typename Layer::feed_label; Layer::vocabulary; Layer::scaled; }
struct execution<Layer> : no_constants {
  template <class C, class T>
  static void forward(C const& c, T const* weights, T const*, T const*, T* y, std::byte*) {
    c.machine.embedding_forward(y, weights, ids(c), rows(c), Layer::width, factor<C>());
  }
  template <class C, class T, class A>
  static void backward(C const& c, T const*, A* gradients, T const*, T const* dy, T*, std::byte*) {
    c.machine.embedding_backward(gradients, dy, ids(c), rows(c), Layer::width, factor<C>());
  }

 private:
  template <class C>
  static std::size_t rows(C const& c) {
    return static_cast<std::size_t>(c.rows(Layer::on));
  }
  template <class C>
  static std::int32_t const* ids(C const& c) {
    return c.feed(Layer::feed_label::view());
  }
  template <class C>
  static typename C::accumulate factor() {
    return Layer::scaled ? std::sqrt(static_cast<typename C::accumulate>(Layer::width)) : 1;
  }
};

template <std::size_t N, std::size_t W, axis Axis>
struct execution<learned_positions<N, W, Axis>> : no_constants {
  template <class C, class T>
  static void forward(C const& c, T const* weights, T const*, T const* x, T* y, std::byte*) {
    c.machine.positions_forward(y, x, weights, c.size.sequences, c.size.tokens_on(Axis), W);
  }
  template <class C, class T, class A>
  static void backward(C const& c, T const*, A* gradients, T const*, T const* dy, T* dx, std::byte*) {
    c.machine.positions_backward(gradients, dy, c.size.sequences, c.size.tokens_on(Axis), W);
    c.machine.copy(dx, dy, static_cast<std::size_t>(c.rows(Axis)) * W * sizeof(T));
  }
};

template <std::size_t N, std::size_t W, axis Axis>
struct execution<sinusoidal_positions<N, W, Axis>> {
  template <class C, class T>
  static void prepare(C const& c, T* constants) {
    c.machine.sinusoidal_table(constants, N, W);
  }
  template <class C, class T>
  static void forward(C const& c, T const*, T const* constants, T const* x, T* y, std::byte*) {
    c.machine.positions_forward(y, x, constants, c.size.sequences, c.size.tokens_on(Axis), W);
  }
  template <class C, class T, class A>
  static void backward(C const& c, T const*, A*, T const*, T const* dy, T* dx, std::byte*) {
    c.machine.copy(dx, dy, static_cast<std::size_t>(c.rows(Axis)) * W * sizeof(T));
  }
};

}  // namespace mpx
