/// @file
/// What a layer works on, as typed views; and how a layer is called.
#pragma once

#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

#include <boost/hana/tuple.hpp>

#include <mpx/layer/context.hpp>
#include <mpx/model/footprint.hpp>

namespace mpx {

namespace detail {

template <class Tuple>
struct parameter_pack;
template <class... P>
struct parameter_pack<boost::hana::tuple<P...>> {
  template <std::size_t I>
  using at = std::tuple_element_t<I, std::tuple<P...>>;
  /// Elements from the layer's first parameter to its I-th one.
  template <std::size_t I>
  static constexpr std::size_t offset(std::size_t ranks) {
    std::size_t const counts[]{padded_elements(elements_on_rank<P>(ranks))...};
    std::size_t sum = 0;
    for (std::size_t i = 0; i < I; ++i) sum += counts[i];
    return sum;
  }
};

template <class Message>
inline constexpr layout layout_of_message = [] {
  if constexpr (std::is_void_v<only_stream_t<Message>>) return activation_layout(spread::invariant);
  else return activation_layout(only_stream_t<Message>::over_tensor);
}();

template <element Type, class Context>
using element_t = std::conditional_t<Type == element::compute, typename Context::compute, typename Context::accumulate>;

}  // namespace detail

/// The I-th tensor of L::saves, in the memory that L keeps from forward to backward.
template <class L, std::size_t I, class C>
[[nodiscard]] auto* kept_tensor(C const& c, std::byte* saved) {
  for (std::size_t i = 0; i < I; ++i) saved += L::saves[i].bytes(c.capacity, C::sizes);
  return reinterpret_cast<detail::element_t<L::saves[I].type, C>*>(saved);
}

/// The stream that L takes, or gives, in this context; and the same for their gradients.
template <class L, class C>
using input_view = tensor_view<typename C::compute const, detail::layout_of_message<typename L::takes>, C::kind>;
template <class L, class C>
using output_view = tensor_view<typename C::compute, detail::layout_of_message<typename L::gives>, C::kind>;
template <class L, class C>
using output_gradient_view =
    tensor_view<typename C::compute const, gradient_layout(detail::layout_of_message<typename L::gives>), C::kind>;
template <class L, class C>
using input_gradient_view =
    tensor_view<typename C::compute, gradient_layout(detail::layout_of_message<typename L::takes>), C::kind>;

/// The parameters, tables and kept tensors of layer L. A view's layout follows from the description: a parameter's from
/// its `over_tensor`, its gradient's by the algebra, a kept tensor's from `saves`.
template <class L, class C>
struct operands {
  using T = typename C::compute;
  using A = typename C::accumulate;
  using pack = detail::parameter_pack<typename L::parameters>;

  C const& context;
  T const* weights = nullptr;
  A* gradients = nullptr;  ///< null in forward
  T const* constants = nullptr;
  std::byte* kept_from = nullptr;

  /// The I-th of L::parameters.
  template <std::size_t I>
  [[nodiscard]] auto parameter() const {
    return tensor_view<T const, layout_of<typename pack::template at<I>>, C::kind>{
        weights + pack::template offset<I>(C::tensor_ranks)};
  }
  /// Where its gradient is added up.
  template <std::size_t I>
  [[nodiscard]] auto gradient() const {
    return tensor_view<A, gradient_layout(layout_of<typename pack::template at<I>>), C::kind>{
        gradients + pack::template offset<I>(C::tensor_ranks)};
  }
  /// The table that is never trained: the same everywhere.
  [[nodiscard]] auto constant() const {
    return tensor_view<T const, parameter_layout(spread::invariant), C::kind>{constants};
  }
  /// The I-th of L::saves.
  template <std::size_t I>
  [[nodiscard]] auto kept() const {
    auto* const at = kept_tensor<L, I>(context, kept_from);
    return tensor_view<std::remove_pointer_t<decltype(at)>, activation_layout(L::saves[I].over_tensor), C::kind>{at};
  }
  /// Scratch for the I-th of L::backward_scratch: take them in their order.
  template <std::size_t I>
  [[nodiscard]] auto* scratch() const {
    constexpr tensor_extent extent = L::backward_scratch[I];
    return context.template take<detail::element_t<extent.type, C>>(extent);
  }
};

/// How a primitive layer of mpx runs: specialised beside each, over typed views.
///   template <class C> static auto forward(operands<L, C> const&, input_view<L, C> x, T* y)       gives a view over y
///   template <class C> static auto backward(operands<L, C> const&, output_gradient_view<L, C> dy, T* dx)
/// x is the kept input when the layer keeps it, and the same memory as y when it works in place. dy is read only; dx is
/// written; gradients are added to. A layer of the user's own offers the two functions over plain pointers instead (see
/// run_forward) where all that it takes, gives and trains is whole on each tensor rank.
template <class L>
struct execution;

namespace detail {

/// What a layer's forward returns is what its description gives; its backward returns the gradient of what it takes.
template <class Layer, class Returned, class Described>
struct forward_layout {
  static_assert(std::is_same_v<Returned, Described>, "mpx::layer requires its forward to return the layout that its description gives");
};
template <class Layer, class Returned, class Described>
struct backward_layout {
  static_assert(std::is_same_v<Returned, Described>,
                "mpx::layer requires its backward to return the gradient of what it takes in that gradient's layout: a "
                "partial sum is reduced first, and once");
};

/// Is everything about the layer whole on each tensor rank?
template <class L>
inline constexpr bool whole_on_each_rank = []<class... P>(boost::hana::tuple<P...>*) {
  return layout_of_message<typename L::takes> == activation_layout(spread::invariant) &&
         layout_of_message<typename L::gives> == activation_layout(spread::invariant) &&
         ((P::over::spread_over_tensor == spread::invariant) && ...);
}(static_cast<typename L::parameters*>(nullptr));

template <class L>
struct plain_pointers {
  static_assert(whole_on_each_rank<L>,
                "mpx::layer requires a layer that is sharded over tensor ranks to run over views (mpx::execution), which "
                "know their layouts");
};

template <class Layer, bool Forward, bool Backward>
struct layer_runs {
  static_assert(Forward,
                "mpx::layer requires its author to offer `template <class C, class T> static void forward(C const&, "
                "T const* weights, T const* constants, T const* x, T* y, std::byte* saved)`");
  static_assert(!Forward || Backward,
                "mpx::layer requires its author to offer `template <class C, class T, class A> static void "
                "backward(C const&, T const* weights, A* gradients, T const* constants, T const* dy, T* dx, "
                "std::byte* saved)`");
};

template <class L, class C, class T = typename C::compute>
inline constexpr bool runs_forward = requires(C const& c, T const* in, T* out, std::byte* saved) {
  L::forward(c, in, in, in, out, saved);
};
template <class L, class C, class T = typename C::compute, class A = typename C::accumulate>
inline constexpr bool runs_backward = requires(C const& c, T const* in, A* gradients, T* out, std::byte* saved) {
  L::backward(c, in, gradients, in, in, out, saved);
};

/// Is an error where a layer lacks one of its functions, or has it in another form.
template <class L, class C>
using layer_runs_t = layer_runs<L, runs_forward<L, C>, runs_backward<L, C>>;

template <class L> concept whole_of_parts = block<L> || chain<L> || residual_layer<L>;
template <class L> concept runs_over_views = requires { sizeof(execution<L>); };
template <class L> concept repeats = requires { typename L::repeated; };

/// What a primitive layer's forward and backward return, if anything crosses there.
template <class L, class C>
struct returned {
  using given = operands<L, C>;
  using pointer = typename C::compute*;
  using forward = decltype(execution<L>::forward(std::declval<given const&>(), input_view<L, C>{}, pointer{}));
  using backward = decltype(execution<L>::backward(std::declval<given const&>(), output_gradient_view<L, C>{}, pointer{}));
};

template <class L, class C, bool Gives>
struct forward_kept {};
template <class L, class C>
struct forward_kept<L, C, true>
    : forward_layout<L, lies_t<returned<L, C>::forward::mesh_layout>, lies_t<output_view<L, C>::mesh_layout>> {};
template <class L, class C, bool Takes>
struct backward_kept {};
template <class L, class C>
struct backward_kept<L, C, true>
    : backward_layout<L, lies_t<returned<L, C>::backward::mesh_layout>, lies_t<input_gradient_view<L, C>::mesh_layout>> {};

/// Asks a layer, or each one that it is composed of, in the body of the class.
template <class L, class C>
struct layouts_kept {};
template <class Layers, class C>
struct layouts_kept_by_all;
template <class... L, class C>
struct layouts_kept_by_all<boost::hana::tuple<L...>, C> {
  using asked = std::index_sequence<sizeof(layouts_kept<L, C>)...>;
};
template <block L, class C>
struct layouts_kept<L, C> : layouts_kept<typename L::body, C> {};
template <residual_layer L, class C>
struct layouts_kept<L, C> : layouts_kept<typename L::branch, C> {};
template <chain L, class C>
struct layouts_kept<L, C> : layouts_kept_by_all<typename L::layers, C> {};
template <repeats L, class C>
struct layouts_kept<L, C> : layouts_kept<typename L::repeated, C> {};

template <class L, class C>
  requires(!whole_of_parts<L> && !repeats<L> && runs_over_views<L>)
struct layouts_kept<L, C> {
  using asked = std::index_sequence<sizeof(forward_kept<L, C, (L::gives::size > 0)>),
                                    sizeof(backward_kept<L, C, (L::takes::size > 0)>)>;
};
template <class L, class C>
  requires(!whole_of_parts<L> && !repeats<L> && !runs_over_views<L>)
struct layouts_kept<L, C> {
  using asked = std::index_sequence<sizeof(plain_pointers<L>), sizeof(layer_runs_t<L, C>)>;
};

}  // namespace detail

/// A layer without constants has nothing to prepare.
struct no_constants {
  template <class C, class T>
  static void prepare(C const&, T*) {}
};

/// Layers composed of others (layer/composition.hpp).
template <class L>
struct composition;

/// Has a layer, or each one that it is composed of, its two functions, and do they return what its description says? A
/// trainer asks all layers of its model.
/// Errors  compile time: the layer; what is missing, or what was returned and what was described
template <class L, class Context>
using keeps_layouts = decltype(verdict_on<detail::layouts_kept<L, Context>>());

/// Writes the table of constants, where the layer has one.
template <class L, class C>
void run_prepare(C const& c, typename C::compute* constants) {
  if constexpr (detail::whole_of_parts<L>) composition<L>::prepare(c, constants);
  else if constexpr (requires { L::prepare(c, constants); }) L::prepare(c, constants);
  else if constexpr (detail::runs_over_views<L>) execution<L>::prepare(c, constants);
}

/// Runs a layer's forward. A layer of the user's own offers
///   template <class C> static void forward(C const&, compute const* weights, compute const* constants,
///                                          compute const* x, compute* y, std::byte* saved)
template <class L, class C, class T = typename C::compute>
void run_forward(C const& c, T const* weights, T const* constants, T const* x, T* y, std::byte* saved) {
  if constexpr (detail::whole_of_parts<L>) {
    composition<L>::forward(c, weights, constants, x, y, saved);
  } else if constexpr (detail::runs_over_views<L>) {
    operands<L, C> const all{c, weights, nullptr, constants, saved};
    execution<L>::forward(all, input_view<L, C>{x}, y);
  } else if constexpr (detail::runs_forward<L, C>) {
    L::forward(c, weights, constants, x, y, saved);
  } else {
    static_cast<void>(sizeof(detail::layer_runs_t<L, C>));
  }
}

/// Runs a layer's backward. A layer of the user's own offers
///   template <class C> static void backward(C const&, compute const* weights, accumulate* gradients,
///                                           compute const* constants, compute const* dy, compute* dx, std::byte* saved)
template <class L, class C, class T = typename C::compute>
void run_backward(C const& c, T const* weights, typename C::accumulate* gradients, T const* constants, T const* dy, T* dx,
                  std::byte* saved) {
  if constexpr (detail::whole_of_parts<L>) {
    composition<L>::backward(c, weights, gradients, constants, dy, dx, saved);
  } else if constexpr (detail::runs_over_views<L>) {
    operands<L, C> const all{c, weights, gradients, constants, saved};
    execution<L>::backward(all, output_gradient_view<L, C>{dy}, dx);
  } else if constexpr (detail::runs_backward<L, C>) {
    L::backward(c, weights, gradients, constants, dy, dx, saved);
  } else {
    static_cast<void>(sizeof(detail::layer_runs_t<L, C>));
  }
}

}  // namespace mpx
