/// @file
/// How a layer is called, and what is asked of it before.
#pragma once

#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <utility>

#include <boost/hana/tuple.hpp>

#include <mpx/layer/operands.hpp>
#include <mpx/model/footprint.hpp>

namespace mpx {

/// How a primitive layer of mpx runs: specialised beside each, over typed views.
///   template <class C> static auto forward(operands<L, C> const&, input_view<L, C> x, T* y)       gives a view over y
///   template <class C> static auto backward(operands<L, C> const&, output_gradient_view<L, C> dy, T* dx)
/// x is the kept input when the layer keeps it, and the same memory as y when it works in place. dy is read only; dx is
/// written; gradients are added to: the first ones of a step to zeros, but for a first parameter's where a layer says that
/// it heeds context.replaces_gradients (`static constexpr bool replaces_first_gradient = true`). What is null is not asked
/// for: under a schedule that splits backwards, the first of two calls gives no gradients to add to, and the second no dx. A layer of the user's own offers the two functions over
/// plain pointers instead (see run_forward) where all that it takes, gives and trains is whole on each tensor rank.
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

template <class... S>
constexpr bool whole_streams(message<S...>*) {
  return ((S::over_tensor == spread::invariant) && ...);
}

/// Is everything about the layer whole on each tensor rank?
template <class L>
inline constexpr bool whole_on_each_rank = []<class... P>(boost::hana::tuple<P...>*) {
  return spread_of_message<typename L::takes> == spread::invariant && spread_of_message<typename L::gives> == spread::invariant &&
         ((P::over::spread_over_tensor == spread::invariant) && ...) && whole_streams(static_cast<typename L::reads*>(nullptr)) &&
         std::all_of(L::saves.begin(), L::saves.end(), [](tensor_extent const& t) { return t.over_tensor == spread::invariant; });
}(static_cast<typename L::parameters*>(nullptr));

template <class L, spread Rows>
struct plain_pointers {
  static_assert(Rows == spread::invariant,
                "mpx::sequence_parallel requires each layer to run over views (mpx::execution), which know whether they hold "
                "all rows or a slice of them");
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

template <class Layer>
struct backward_in_halves {
  static_assert(!sizeof(Layer),
                "mpx::pipeline_schedule requires each layer with weights to run over views (mpx::execution) where backwards "
                "are split: a gradient that is null is not asked for");
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
struct forward_kept;
template <class L, class C>
struct forward_kept<L, C, true>
    : forward_layout<L, laid_out_t<returned<L, C>::forward::mesh_layout>, laid_out_t<output_view<L, C>::mesh_layout>> {};
/// A loss returns its sum: whole on each tensor rank, a part of the sum over data ranks and stages.
template <class L, class C>
struct forward_kept<L, C, false> : forward_layout<L, laid_out_t<returned<L, C>::forward::mesh_layout>,
                                                  laid_out<spread::invariant, spread::partial, spread::partial>> {};
template <class L, class C, bool Takes>
struct backward_kept {};
template <class L, class C>
struct backward_kept<L, C, true>
    : backward_layout<L, laid_out_t<returned<L, C>::backward::mesh_layout>, laid_out_t<input_gradient_view<L, C>::mesh_layout>> {};

/// What is asked of a primitive layer: does it keep to the layouts of its description?
template <class C>
struct in_its_layouts {
  template <class L>
  struct of {
    using asked = std::index_sequence<sizeof(plain_pointers<L, C::rows_over_tensor>), sizeof(layer_runs_t<L, C>)>;
  };
  template <runs_over_views L>
  struct of<L> {
    using asked = std::index_sequence<sizeof(forward_kept<L, C, (L::gives::size > 0)>),
                                      sizeof(backward_kept<L, C, (L::takes::size > 0)>)>;
  };
};

/// Does it compute its weights' gradients later than its input's, where the schedule splits backwards?
template <bool Splits>
struct in_halves {
  template <class L>
  struct of {};
  template <class L>
    requires(Splits && trains<L> && !runs_over_views<L>)
  struct of<L> : backward_in_halves<L> {};
};

/// Asks a layer, or each one that it is composed of, in the body of the class.
template <class Question, class L>
struct asked_of {
  using asked = std::index_sequence<sizeof(typename Question::template of<L>)>;
};
template <class Question, class Layers>
struct asked_of_all;
template <class Question, class... L>
struct asked_of_all<Question, boost::hana::tuple<L...>> {
  using asked = std::index_sequence<sizeof(asked_of<Question, L>)...>;
};
template <class Question, block L>
struct asked_of<Question, L> : asked_of<Question, typename L::body> {};
template <class Question, residual_layer L>
struct asked_of<Question, L> : asked_of<Question, typename L::branch> {};
template <class Question, chain L>
struct asked_of<Question, L> : asked_of_all<Question, typename L::layers> {};
template <class Question, repeats L>
struct asked_of<Question, L> : asked_of<Question, typename L::repeated> {};

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
using keeps_layouts = decltype(verdict_on<detail::asked_of<detail::in_its_layouts<Context>, L>>());

/// Can a layer's backward, or that of each one that it is composed of, come in halves? A trainer asks all layers of its
/// model where the schedule splits backwards.
/// Errors  compile time: the layer
template <class L, bool Splits>
using keeps_halves = decltype(verdict_on<detail::asked_of<detail::in_halves<Splits>, L>>());

/// Writes the table of constants, where the layer has one.
template <class L, class C>
void run_prepare(C const& c, typename C::compute* constants) {
  if constexpr (detail::whole_of_parts<L>) composition<L>::prepare(c, constants);
  else if constexpr (requires { L::prepare(c, constants); }) L::prepare(c, constants);
  else if constexpr (detail::runs_over_views<L>) execution<L>::prepare(c, constants);
}

namespace detail {

/// What this rank has of a message's one stream, in this microbatch.
template <class Message, class C>
std::size_t stream_elements(C const& c) {
  using stream = only_stream_t<Message>;
  return c.row_count(stream::on, stream::over_tensor) * c.capacity.share(stream::width, stream::over_tensor);
}
template <class Message, class C>
std::size_t stream_bytes(C const& c) {
  return stream_elements<Message>(c) * sizeof(typename C::compute);
}

}  // namespace detail

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

namespace detail {

template <class L>
inline constexpr bool replaces_first_gradient = requires { requires execution<L>::replaces_first_gradient; };

/// The context of a backward whose gradients replace others, where they do: what the layer adds to begins at zero, and it
/// only hears of it when it writes its first one itself.
template <class L, class C>
C with_begun_gradients(C c, typename C::accumulate* gradients) {
  if constexpr (trains<L>) {
    if (!gradients || !c.replaces_gradients) return c;
    constexpr std::size_t end = footprint<L>::parameters_on(C::tensor_ranks);
    constexpr std::size_t begin = replaces_first_gradient<L> ? parameter_pack<typename L::parameters>::template offset<1>(C::tensor_ranks) : 0;
    if constexpr (begin < end) c.machine.zero(gradients + begin, (end - begin) * sizeof(*gradients));
  }
  c.replaces_gradients = c.replaces_gradients && replaces_first_gradient<L>;
  return c;
}

}  // namespace detail

/// Runs a layer's backward: all of it, or, without gradients to add to, the gradient of its input alone. A layer of the
/// user's own offers
///   template <class C> static void backward(C const&, compute const* weights, accumulate* gradients,
///                                           compute const* constants, compute const* dy, compute* dx, std::byte* saved)
template <class L, class C, class T = typename C::compute>
void run_backward(C const& c, T const* weights, typename C::accumulate* gradients, T const* constants, T const* dy, T* dx,
                  std::byte* saved) {
  if constexpr (detail::whole_of_parts<L>) {
    composition<L>::backward(c, weights, gradients, constants, dy, dx, saved);
  } else if constexpr (detail::runs_over_views<L>) {
    if constexpr (C::splits_backward && footprint<L>::defers_gradient)
      if (c.kept_gradient != dy)  // it comes from somewhere that is written again before it is read
        c.machine.copy(c.kept_gradient, dy, detail::stream_bytes<typename L::gives>(c));
    C const begun = detail::with_begun_gradients<L>(c, gradients);
    operands<L, C> const all{begun, weights, gradients, constants, saved};
    execution<L>::backward(all, output_gradient_view<L, C>{dy}, dx);
  } else if constexpr (detail::runs_backward<L, C>) {
    L::backward(detail::with_begun_gradients<L>(c, gradients), weights, gradients, constants, dy, dx, saved);
  } else {
    static_cast<void>(sizeof(detail::layer_runs_t<L, C>));
  }
}

/// Adds up the gradients of a layer's weights from what an earlier run_backward without them has kept in c.
template <class L, class C, class T = typename C::compute>
void run_weight_gradients(C const& c, T const* weights, typename C::accumulate* gradients, T const* constants,
                          std::byte* saved) {
  if constexpr (detail::whole_of_parts<L>) {
    composition<L>::weight_gradients(c, weights, gradients, constants, saved);
  } else if constexpr (trains<L> && detail::runs_over_views<L>) {  // mpx::keeps_halves has refused others
    C const begun = detail::with_begun_gradients<L>(c, gradients);
    operands<L, C> const all{begun, weights, gradients, constants, saved};
    execution<L>::backward(all, output_gradient_view<L, C>{c.kept_gradient}, static_cast<T*>(nullptr));
  }
}

}  // namespace mpx
