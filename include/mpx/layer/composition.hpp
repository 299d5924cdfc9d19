/// @file
/// Layers composed of others: their forward and backward follow from their parts.
#pragma once

#include <array>
#include <cstddef>
#include <tuple>

#include <mpx/layer/operations.hpp>
#include <mpx/model/activation.hpp>
#include <mpx/model/linear.hpp>

namespace mpx {

/// A block runs as its body does.
template <block L>
struct composition<L> {
  using body = typename L::body;

  template <class C, class T>
  static void prepare(C const& c, T* constants) {
    run_prepare<body>(c, constants);
  }
  template <class C, class T>
  static void forward(C const& c, T const* weights, T const* constants, T const* x, T* y, std::byte* saved) {
    run_forward<body>(c, weights, constants, x, y, saved);
  }
  template <class C, class T, class A>
  static void backward(C const& c, T const* weights, A* gradients, T const* constants, T const* dy, T* dx, std::byte* saved) {
    run_backward<body>(c, weights, gradients, constants, dy, dx, saved);
  }
  template <class C, class T, class A>
  static void weight_gradients(C const& c, T const* weights, A* gradients, T const* constants, std::byte* saved) {
    run_weight_gradients<body>(c, weights, gradients, constants, saved);
  }
};

namespace detail {

/// A layer, or the one that a section of one layer is.
template <class L>
struct sole_layer {
  using type = L;
};
template <class Layers>
struct sole_of_all {
  using type = void;
};
template <class L>
struct sole_of_all<boost::hana::tuple<L>> : sole_layer<L> {};
template <chain L>
struct sole_layer<L> : sole_of_all<typename L::layers> {};

/// What a product on one rank is all of, and what may stand beside it there: a gelu_tanh, and a dropout behind that one,
/// whose factors commute with its slope.
struct beside_products {
  bool gives_output = false;    ///< a dense layer whose output is summed over no ranks
  bool gives_gradient = false;  ///< and one whose input's gradient is not
  bool is_gelu = false;
  bool is_dropout = false;
};
template <class L>
inline constexpr beside_products beside_product{};
template <std::size_t In, std::size_t Out, axis Axis, class Init, class Bias, class Split>
inline constexpr beside_products beside_product<linear<In, Out, Axis, Init, Bias, Split>>{
    .gives_output = !sharded(split_layouts<Split>::x), .gives_gradient = !sharded(split_layouts<Split>::y)};
template <std::size_t W, axis Axis, spread Over>
inline constexpr beside_products beside_product<activation<gelu_tanh, W, Axis, Over>>{.is_gelu = true};
template <std::size_t W, axis Axis, spread Over>
inline constexpr beside_products beside_product<dropout<W, Axis, Over>>{.is_dropout = true};

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
  template <std::size_t Ranks>
  static constexpr auto weight_start = starts({footprint<L>::parameters_on(Ranks)...});
  static constexpr auto constant_start = starts({footprint<L>::constants...});
  static constexpr std::array<beside_products, size> beside{beside_product<typename sole_layer<L>::type>...};
  /// Which parts are a gelu_tanh that the part in front computes with its product, where the machine applies it there.
  template <bool Within>
  static constexpr auto within_product_before = [] {
    std::array<bool, size + 1> at{};
    for (std::size_t i = 1; i < size; ++i) at[i] = Within && beside[i].is_gelu && beside[i - 1].gives_output;
    return at;
  }();
  /// The part of whose input each part writes the gradient: its own; or a product, and a dropout behind it in place, that of
  /// the gelu_tanh in front, which has nothing left to write (`size`).
  template <bool Within>
  static constexpr auto writes_gradient_of = [] {
    std::array<std::size_t, size> at{};
    for (std::size_t i = 0; i < size; ++i) at[i] = i;
    for (std::size_t i = 1; Within && i < size; ++i) {
      std::size_t const gelu = i > 1 && beside[i - 1].is_dropout ? i - 2 : i - 1;
      if (!beside[i].gives_gradient || !beside[gelu].is_gelu) continue;
      for (std::size_t k = gelu + 1; k <= i; ++k) at[k] = gelu;
      at[gelu] = size;
    }
    return at;
  }();
  /// Where gradients between parts are written.
  template <bool SplitsBackward>
  static constexpr auto places = facts::gradient_places(SplitsBackward);

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
      (run_prepare<part<I>>(c.child(I), constants + constant_start[I]), ...);
    }(std::make_index_sequence<size>{});
  }

  template <class C, class T>
  static void forward(C const& c, T const* weights, T const* constants, T const* x, T* y, std::byte* saved) {
    auto const at = saved_starts(c, saved);
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (
          [&] {
            constexpr auto& within = within_product_before<C::gelu_within_products>;
            if constexpr (!within[I]) {
              T const* input = x;
              if constexpr (I > 0) input = home<I>(at, y);
              C of_part = c.child(I);
              if constexpr (within[I + 1]) of_part.activated = home<I + 2>(at, y);
              run_forward<part<I>>(of_part, weights + weight_start<C::tensor_ranks>[I], constants + constant_start[I], input,
                                   home<I + 1>(at, y), at[I]);
            }
          }(),
          ...);
    }(std::make_index_sequence<size>{});
  }

  template <class C, class T, class A>
  static void backward(C const& c, T const* weights, A* gradients, T const* constants, T const* dy, T* dx, std::byte* saved) {
    auto const at = saved_starts(c, saved);
    auto const kept = kept_by_part(c, at);
    constexpr std::size_t count = facts::gradient_buffers(C::splits_backward);
    typename scratch_space::frame const frame(c.scratch);
    std::size_t const buffer = facts::gradient_buffer(c.capacity, C::sizes);
    std::array<T*, 2> buffers{};
    for (std::size_t b = 0; b < count; ++b) buffers[b] = reinterpret_cast<T*>(c.scratch.take(buffer));

    std::size_t turn = 0;
    T const* gradient = dy;
    T* into = nullptr;
    auto const one = [&]<std::size_t I>(std::integral_constant<std::size_t, I>) {
      constexpr std::size_t to = writes_gradient_of<C::gelu_within_products>[I];
      if constexpr (to < size) {
        constexpr bool in_place = to < I && beside[I].is_dropout;
        if constexpr (!in_place) {
          if constexpr (to == 0) {
            into = dx;
          } else if constexpr (places<C::splits_backward>[to] == facts::place::over_input) {
            into = reinterpret_cast<T*>(at[to]);
          } else if constexpr (places<C::splits_backward>[to] == facts::place::kept) {
            into = kept[to - 1].gradient;
          } else {
            into = buffers[turn];
            turn = count - 1 - turn;  // the other buffer, where there are two
          }
        }
        std::byte* saved_here = at[I];
        if constexpr (footprint<part<I>>::reads_output) saved_here = reinterpret_cast<std::byte*>(home<I + 1, T>(at, nullptr));
        constexpr std::size_t first = weight_start<C::tensor_ranks>[I];
        C of_part = child<I>(c, kept);
        if constexpr (to < I && !in_place) of_part.preactivation = reinterpret_cast<T const*>(at[to]);
        run_backward<part<I>>(of_part, weights + first, gradients ? gradients + first : nullptr, constants + constant_start[I],
                              gradient, into, saved_here);
        gradient = into;
      }
    };
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (one(std::integral_constant<std::size_t, size - 1 - I>{}), ...);
    }(std::make_index_sequence<size>{});
  }

  template <class C, class T, class A>
  static void weight_gradients(C const& c, T const* weights, A* gradients, T const* constants, std::byte* saved) {
    auto const at = saved_starts(c, saved);
    auto const kept = kept_by_part(c, at);
    auto const one = [&]<std::size_t I>(std::integral_constant<std::size_t, I>) {
      constexpr std::size_t first = weight_start<C::tensor_ranks>[I];
      run_weight_gradients<part<I>>(child<I>(c, kept), weights + first, gradients + first, constants + constant_start[I], at[I]);
    };
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (one(std::integral_constant<std::size_t, size - 1 - I>{}), ...);
    }(std::make_index_sequence<size>{});
  }

 private:
  /// What a part keeps until its weights' gradients are computed, if that is later.
  template <class T>
  struct kept_of {
    std::byte* deferred = nullptr;
    T* gradient = nullptr;
  };
  template <class C>
  static auto kept_by_part(C const&, std::array<std::byte*, size> const&) {
    return std::array<kept_of<typename C::compute>, size>{};
  }
  template <class C>
    requires C::splits_backward
  static auto kept_by_part(C const& c, std::array<std::byte*, size> const& saved) {
    using T = typename C::compute;
    std::array<kept_of<T>, size> kept{};
    auto const bytes = facts::deferred_by_part(c.capacity, C::sizes);
    std::array<std::size_t, size> const own{footprint<L>::deferred(c.capacity, C::sizes)...};
    std::byte* next = c.deferred;
    for (std::size_t i = 0; i < size; ++i) {
      kept[i].deferred = next;
      if (i + 1 == size) kept[i].gradient = c.kept_gradient;
      else if (places<true>[i + 1] == facts::place::kept) kept[i].gradient = reinterpret_cast<T*>(next + own[i]);
      else if (places<true>[i + 1] == facts::place::over_input) kept[i].gradient = reinterpret_cast<T*>(saved[i + 1]);
      next += bytes[i];
    }
    return kept;
  }
  template <std::size_t I, class C, class Kept>
  static C child(C const& c, Kept const& kept) {
    C part = c.child(I);
    part.deferred = kept[I].deferred;
    part.kept_gradient = kept[I].gradient;
    return part;
  }
};

}  // namespace detail

template <chain L>
struct composition<L> : detail::chain_execution<typename L::layers> {};

/// y = x + f(x): the branch writes y, then the kept input is added.
template <residual_layer L>
struct composition<L> {
  using branch = composition<typename L::branch>;

  template <class C, class T>
  static void prepare(C const& c, T* constants) {
    branch::prepare(c, constants);
  }
  template <class C, class T>
  static void forward(C const& c, T const* weights, T const* constants, T const* x, T* y, std::byte* saved) {
    branch::forward(c, weights, constants, x, y, saved);
    add(c, view_over<layout_in<C>, C::kind>(y), view_over<layout_in<C>, C::kind>(x), elements(c));
  }
  template <class C, class T, class A>
  static void backward(C const& c, T const* weights, A* gradients, T const* constants, T const* dy, T* dx, std::byte* saved) {
    branch::backward(c, weights, gradients, constants, dy, dx, saved);
    constexpr layout back = gradient_layout(layout_in<C>);
    add(c, view_over<back, C::kind>(dx), view_over<back, C::kind>(dy), elements(c));
  }
  template <class C, class T, class A>
  static void weight_gradients(C const& c, T const* weights, A* gradients, T const* constants, std::byte* saved) {
    branch::weight_gradients(c, weights, gradients, constants, saved);
  }

 private:
  template <class C>
  static constexpr layout layout_in = detail::layout_of_message<typename L::takes, C>;
  template <class C>
  static std::size_t elements(C const& c) {
    return detail::stream_elements<typename L::takes>(c);
  }
};

}  // namespace mpx
