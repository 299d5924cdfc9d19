/// @file
/// Dense layers at work.
#pragma once

#include <cmath>
#include <cstddef>

#include <mpx/layer/operations.hpp>
#include <mpx/model/linear.hpp>

namespace mpx {

namespace detail {

/// y = x W^T + b and its gradients, for any layer with `in`, `out`, `has_bias`, `layouts` and weights [out, in], bias
/// [out]. Split outputs read all rows of x, whose gradient is then a partial sum; split inputs give a partial y.
template <class L>
struct linear_execution : no_constants {
  static constexpr bool replaces_first_gradient = true;
  static constexpr axis on = only_stream_t<typename L::takes>::on;
  static constexpr bool splits_outputs = L::layouts::y == spread::sharded_1;
  static constexpr bool splits_inputs = L::layouts::x == spread::sharded_1;

  template <class C>
  static auto forward(operands<L, C> const& o, input_view<L, C> x, typename C::compute* y) {
    return multiplied(o, x, y);
  }
  template <class C>
  static auto backward(operands<L, C> const& o, output_gradient_view<L, C> dy, typename C::compute* dx) {
    return multiplied_back(o, o.template kept<0>(), dy, dx);
  }

  template <class C, view X>
  static auto multiplied(operands<L, C> const& o, X x, typename C::compute* y) {
    C const& c = o.context;
    auto const w = o.template parameter<0>();
    if constexpr (splits_outputs) {
      return with_all_rows(c, x, on, L::in, [&](auto all) {
        if constexpr (L::has_bias) return multiply(c, y, all, w, o.template parameter<1>(), sizes(c));
        else return multiply(c, y, all, w, sizes(c));
      });
    } else if constexpr (splits_inputs) {
      if constexpr (L::has_bias) return multiply_reduced(c, y, x, w, o.template parameter<1>(), sizes(c));
      else return multiply_reduced(c, y, x, w, sizes(c));
    } else {
      if constexpr (L::has_bias) return multiply(c, y, x, w, o.template parameter<1>(), sizes(c));
      else return multiply(c, y, x, w, sizes(c));
    }
  }

  template <class C, view X, view DY>
  static auto multiplied_back(operands<L, C> const& o, X x, DY dy, typename C::compute* dx) {
    C const& c = o.context;
    auto const s = sizes(c);
    auto const w = o.template parameter<0>();
    auto const dw = o.template gradient<0>();
    auto const add_gradients = [&](auto all_dy, auto all_x) {
      if constexpr (L::has_bias) add_dense_gradients(c, dw, o.template gradient<1>(), all_dy, dy, all_x, s);
      else add_weight_gradient(c, dw, all_dy, all_x, s);
    };
    if constexpr (splits_outputs) {
      if (dw.data) with_all_rows(c, x, on, s.in, [&](auto all) { add_gradients(dy, all); });
      return reduced(c, dx, on, s.in, [&](auto* part) { return multiply_back(c, part, dy, w, s); });
    } else if constexpr (splits_inputs) {
      return with_all_rows(c, dy, on, s.out, [&](auto all) {
        add_gradients(all, x);
        return multiply_back(c, dx, all, w, s);
      });
    } else {
      add_gradients(dy, x);
      return multiply_back(c, dx, dy, w, s);
    }
  }

 private:
  template <class C>
  static dense_sizes sizes(C const& c) {
    constexpr bool divided = splits_outputs || splits_inputs;  // columns: then all rows are multiplied
    return {c.row_count(on, divided ? spread::sharded_1 : spread::invariant), splits_outputs ? c.share(L::out) : L::out,
            splits_inputs ? c.share(L::in) : L::in, on};
  }
};

}  // namespace detail

template <std::size_t In, std::size_t Out, axis Axis, class Init, class Bias, class Split>
struct execution<linear<In, Out, Axis, Init, Bias, Split>>
    : detail::linear_execution<linear<In, Out, Axis, Init, Bias, Split>> {};

template <std::size_t W, std::size_t V, class Weight, class Split>
struct execution<language_head<W, V, Weight, false, Split>>
    : detail::linear_execution<language_head<W, V, Weight, false, Split>> {};

/// The input is divided by sqrt(W), not the logits: that takes V / W times less.
template <std::size_t W, std::size_t V, class Weight, class Split>
struct execution<language_head<W, V, Weight, true, Split>> : no_constants {
  using layer = language_head<W, V, Weight, true, Split>;
  using product = detail::linear_execution<layer>;

  template <class C>
  static auto forward(operands<layer, C> const& o, input_view<layer, C> x, typename C::compute* y) {
    typename scratch_space::frame const frame(o.context.scratch);
    return product::multiplied(o, divided(o.context, x), y);
  }

  static constexpr bool replaces_first_gradient = product::replaces_first_gradient;

  template <class C>
  static auto backward(operands<layer, C> const& o, output_gradient_view<layer, C> dy, typename C::compute* dx) {
    C const& c = o.context;
    typename scratch_space::frame const frame(c.scratch);
    auto const back = product::multiplied_back(o, divided(c, o.template kept<0>()), dy, dx);
    if (dx) c.machine.template scale<typename C::compute>(dx, dx, factor<C>(), c.row_count(axis::target, back) * W);
    return scaled_of(c, dx, back);
  }

 private:
  template <class C>
  static typename C::accumulate factor() {
    return 1 / std::sqrt(static_cast<typename C::accumulate>(W));
  }
  /// x / sqrt(W), in scratch.
  template <class C, view X>
  static auto divided(C const& c, X x) {
    auto* const y = c.template take<typename C::compute>(layer::forward_scratch[0]);
    c.machine.template scale<typename C::compute>(y, x.data, factor<C>(), c.row_count(axis::target, x) * W);
    return scaled_of(c, y, x);
  }
};

}  // namespace mpx
