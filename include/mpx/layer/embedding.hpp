/// @file
/// Embeddings and positions at work.
#pragma once

#include <cmath>

#include <mpx/layer/context.hpp>
#include <mpx/model/embedding.hpp>

namespace mpx {

template <std::size_t V, std::size_t W, fixed_string Feed, axis Axis, bool Scaled, class Init>
struct execution<token_embedding<V, W, Feed, Axis, Scaled, Init>> : no_constants {
  using layer = token_embedding<V, W, Feed, Axis, Scaled, Init>;

  template <class C, class T>
  static void forward(C const& c, T const* weights, T const*, T const*, T* y, std::byte*) {
    c.machine.embedding_forward(y, weights, ids(c), rows(c), W, factor<C>());
  }
  template <class C, class T, class A>
  static void backward(C const& c, T const*, A* gradients, T const*, T const* dy, T*, std::byte*) {
    c.machine.embedding_backward(gradients, dy, ids(c), rows(c), W, factor<C>());
  }

 private:
  template <class C>
  static std::size_t rows(C const& c) {
    return static_cast<std::size_t>(c.rows(Axis));
  }
  template <class C>
  static std::int32_t const* ids(C const& c) {
    return c.feed(layer::feed_label::view());
  }
  template <class C>
  static typename C::accumulate factor() {
    return Scaled ? std::sqrt(static_cast<typename C::accumulate>(W)) : 1;
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
