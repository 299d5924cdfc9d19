/// @file
/// What a layer works on: parameters, gradients, streams and kept tensors as typed views.
#pragma once

#include <cstddef>
#include <tuple>
#include <type_traits>

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
inline constexpr spread spread_of_message = [] {
  if constexpr (std::is_void_v<only_stream_t<Message>>) return spread::invariant;
  else return only_stream_t<Message>::over_tensor;
}();

/// Of the one stream of a message, in this context.
template <class Message, class C>
inline constexpr layout layout_of_message = activation_layout(activation_spread(spread_of_message<Message>, C::rows_over_tensor));

/// Of a parameter, in this context.
template <class Parameter, class C>
inline constexpr layout layout_of_parameter =
    parameter_layout(parameter_spread(Parameter::over::spread_over_tensor, C::rows_over_tensor));

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
using input_view = tensor_view<typename C::compute const, detail::layout_of_message<typename L::takes, C>, C::kind>;
template <class L, class C>
using output_view = tensor_view<typename C::compute, detail::layout_of_message<typename L::gives, C>, C::kind>;
template <class L, class C>
using output_gradient_view =
    tensor_view<typename C::compute const, gradient_layout(detail::layout_of_message<typename L::gives, C>), C::kind>;
template <class L, class C>
using input_gradient_view =
    tensor_view<typename C::compute, gradient_layout(detail::layout_of_message<typename L::takes, C>), C::kind>;

/// The parameters, tables and kept tensors of layer L. A view's layout follows from the description and from what ranks
/// hold of rows: a parameter's from its `over_tensor`, its gradient's by the algebra, a kept tensor's from `saves`.
template <class L, class C>
struct operands {
  using T = typename C::compute;
  using A = typename C::accumulate;
  using pack = detail::parameter_pack<typename L::parameters>;

  C const& context;
  T const* weights = nullptr;
  A* gradients = nullptr;  ///< null in forward, and in a backward that computes the input's gradient alone
  T const* constants = nullptr;
  std::byte* kept_from = nullptr;

  /// The I-th of L::parameters.
  template <std::size_t I>
  [[nodiscard]] auto parameter() const {
    return tensor_view<T const, detail::layout_of_parameter<typename pack::template at<I>, C>, C::kind>{
        weights + pack::template offset<I>(C::tensor_ranks)};
  }
  /// Where its gradient is added up; null where it is not asked for.
  template <std::size_t I>
  [[nodiscard]] auto gradient() const {
    return tensor_view<A, gradient_layout(detail::layout_of_parameter<typename pack::template at<I>, C>), C::kind>{
        gradients ? gradients + pack::template offset<I>(C::tensor_ranks) : nullptr};
  }
  /// The table that is never trained: the same everywhere.
  [[nodiscard]] auto constant() const {
    return tensor_view<T const, parameter_layout(parameter_spread(spread::invariant, C::rows_over_tensor)), C::kind>{constants};
  }
  /// The I-th of L::saves.
  template <std::size_t I>
  [[nodiscard]] auto kept() const {
    auto* const at = kept_tensor<L, I>(context, kept_from);
    return tensor_view<std::remove_pointer_t<decltype(at)>, activation_layout(activation_spread(L::saves[I].over_tensor, C::rows_over_tensor)), C::kind>{
        at};
  }
  /// In backward, where L::reads_output: what forward gave, after what works in place behind it.
  [[nodiscard]] auto output() const {
    return tensor_view<T const, output_view<L, C>::mesh_layout, C::kind>{reinterpret_cast<T const*>(kept_from)};
  }
  /// The I-th of L::defers: take them in their order, before scratch.
  template <std::size_t I>
  [[nodiscard]] auto* deferred() const {
    constexpr tensor_extent extent = L::defers[I];
    using U = detail::element_t<extent.type, C>;
    if constexpr (C::splits_backward) {
      std::byte* at = context.deferred;
      for (std::size_t i = 0; i < I; ++i) at += L::defers[i].bytes(context.capacity, C::sizes);
      return reinterpret_cast<U*>(at);
    } else {
      return context.template take<U>(extent);
    }
  }
  /// Scratch for the I-th of L::backward_scratch: take them in their order.
  template <std::size_t I>
  [[nodiscard]] auto* scratch() const {
    constexpr tensor_extent extent = L::backward_scratch[I];
    return context.template take<detail::element_t<extent.type, C>>(extent);
  }
};

}  // namespace mpx
