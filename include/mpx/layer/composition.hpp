/// @file
/// Layers composed of others: their forward and backward follow from their parts.
#pragma once

#include <cstddef>
#include <tuple>

#include <mpx/layer/context.hpp>
#include <mpx/model/footprint.hpp>

namespace mpx {

template <block L>
struct execution<L> : execution<typename L::body> {};

namespace detail {

template <class Layers>
struct chain_execution;

template <class... L>
struct chain_execution<boost::hana::tuple<L...>> {
  static constexpr std::size_t size = sizeof...(L);
  template <std::size_t I>
  using part = std::tuple_element_t<I, std::tuple<L...>>;
  using facts = footprint_chain<boost::hana::tuple<L...>>;

  /// Elements of parameters or constants before each part.
  static constexpr auto starts(std::array<std::size_t, size> const& counts) {
    std::array<std::size_t, size> at{};
    for (std::size_t i = 1; i < size; ++i) at[i] = at[i - 1] + counts[i - 1];
    return at;
  }
  static constexpr auto weight_start = starts({footprint<L>::parameters...});
  static constexpr auto constant_start = starts({footprint<L>::constants...});

  template <class C>
  static std::array<std::byte*, size> saved_starts(C const& c, std::byte* saved) {
    std::array<std::size_t, size> const sizes{footprint<L>::saved(c.capacity, C::sizes)...};
    std::array<std::byte*, size> at{};
    for (std::size_t i = 0; i < size; ++i) {
      at[i] = saved;
      saved += sizes[i];
    }
    return at;
  }

  /// Where part I finds its input: in what it keeps, or, when it works in place, where its output goes.
  template <std::size_t I, class T>
  static T* home(std::array<std::byte*, size> const& saved, T* y) {
    if constexpr (I == size) {
      return y;
    } else if constexpr (footprint<part<I>>::keeps_input) {
      return reinterpret_cast<T*>(saved[I]);
    } else {
      static_assert(footprint<part<I>>::in_place, "mpx::layer requires each layer that takes a stream to keep its input or to work in place");
      return home<I + 1>(saved, y);
    }
  }

  template <class C, class T>
  static void prepare(C const& c, T* constants) {
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (execution<part<I>>::prepare(c.child(I), constants + constant_start[I]), ...);
    }(std::make_index_sequence<size>{});
  }

  template <class C, class T, class X>
  static void forward(C const& c, T const* weights, T const* constants, X x, T* y, std::byte* saved) {
    auto const at = saved_starts(c, saved);
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (
          [&] {
            T const* input = x;
            if constexpr (I > 0) input = home<I>(at, y);
            execution<part<I>>::forward(c.child(I), weights + weight_start[I], constants + constant_start[I], input,
                                        home<I + 1>(at, y), at[I]);
          }(),
          ...);
    }(std::make_index_sequence<size>{});
  }

  template <class C, class T, class A>
  static void backward(C const& c, T const* weights, A* gradients, T const* constants, T const* dy, T* dx, std::byte* saved) {
    auto const at = saved_starts(c, saved);
    typename scratch_space::frame const frame(c.scratch);
    std::size_t const buffer = facts::gradient_buffer(c.capacity, C::sizes);
    std::array<T*, 2> buffers{};
    for (std::size_t b = 0; b < facts::gradient_buffers; ++b) buffers[b] = reinterpret_cast<T*>(c.scratch.take(buffer));

    std::size_t turn = 0;
    T const* gradient = dy;
    auto const one = [&]<std::size_t I>(std::integral_constant<std::size_t, I>) {
      T* into = dx;
      if constexpr (I > 0) {
        if constexpr (footprint<part<I>>::gradient_replaces_input) {
          into = reinterpret_cast<T*>(at[I]);
        } else {
          into = buffers[turn];
          turn = facts::gradient_buffers - 1 - turn;  // the other buffer, where there are two
        }
      }
      execution<part<I>>::backward(c.child(I), weights + weight_start[I], gradients + weight_start[I],
                                   constants + constant_start[I], gradient, into, at[I]);
      gradient = into;
    };
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (one(std::integral_constant<std::size_t, size - 1 - I>{}), ...);
    }(std::make_index_sequence<size>{});
  }
};

}  // namespace detail

template <chain L>
struct execution<L> : detail::chain_execution<typename L::layers> {};

/// y = x + f(x): the branch writes y, then the kept input is added.
template <residual_layer L>
struct execution<L> {
  using branch = execution<typename L::branch>;
  using stream = only_stream_t<typename L::takes>;

  template <class C, class T>
  static void prepare(C const& c, T* constants) {
    branch::prepare(c, constants);
  }
  template <class C, class T, class X>
  static void forward(C const& c, T const* weights, T const* constants, X x, T* y, std::byte* saved) {
    branch::forward(c, weights, constants, x, y, saved);
    c.machine.add(y, x, static_cast<std::size_t>(c.rows(stream::on)) * stream::width);
  }
  template <class C, class T, class A>
  static void backward(C const& c, T const* weights, A* gradients, T const* constants, T const* dy, T* dx, std::byte* saved) {
    branch::backward(c, weights, gradients, constants, dy, dx, saved);
    c.machine.add(dx, dy, static_cast<std::size_t>(c.rows(stream::on)) * stream::width);
  }
};

namespace detail {

/// Asks each layer that L is composed of, and that runs by functions of its own, whether it has them.
template <class L, class C>
struct layers_run {
  static constexpr bool asked = [] {
    if constexpr (requires { execution<L>::by_layer; }) static_cast<void>(sizeof(layer_runs_t<L, C>));
    return true;
  }();
};
template <class Layers, class C>
struct chain_runs;
template <class... L, class C>
struct chain_runs<boost::hana::tuple<L...>, C> {
  static constexpr bool asked = (layers_run<L, C>::asked && ...);
};
template <block L, class C>
struct layers_run<L, C> : layers_run<typename L::body, C> {};
template <chain L, class C>
struct layers_run<L, C> : chain_runs<typename L::layers, C> {};
template <residual_layer L, class C>
struct layers_run<L, C> : layers_run<typename L::branch, C> {};

}  // namespace detail

}  // namespace mpx
