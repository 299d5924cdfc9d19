/// @file
/// Dense layers at work.
#pragma once

#include <mpx/layer/operations.hpp>
#include <mpx/model/linear.hpp>

namespace mpx {

namespace detail {

/// y = x W^T + b and its gradients, for any layer with `in`, `out`, `has_bias`, `layouts` and weights [out, in], bias
/// [out]. Split outputs read a replicated x, whose gradient is then a partial sum; split inputs give a partial y.
template <class L>
struct linear_execution : no_constants {
  static constexpr axis on = only_stream_t<typename L::takes>::on;
  static constexpr bool splits_outputs = L::layouts::y == spread::sharded_1;
  static constexpr bool splits_inputs = L::layouts::x == spread::sharded_1;

  template <class C>
  static auto forward(operands<L, C> const& o, input_view<L, C> x, typename C::compute* y) {
    C const& c = o.context;
    auto const w = o.template parameter<0>();
    if constexpr (splits_outputs) {
      if constexpr (L::has_bias) return multiply(c, y, replicate(x), w, o.template parameter<1>(), sizes(c));
      else return multiply(c, y, replicate(x), w, sizes(c));
    } else if constexpr (splits_inputs) {
      if constexpr (L::has_bias) return multiply_reduced(c, y, x, w, o.template parameter<1>(), sizes(c));
      else return multiply_reduced(c, y, x, w, sizes(c));
    } else {
      if constexpr (L::has_bias) return multiply(c, y, x, w, o.template parameter<1>(), sizes(c));
      else return multiply(c, y, x, w, sizes(c));
    }
  }

  template <class C>
  static auto backward(operands<L, C> const& o, output_gradient_view<L, C> dy, typename C::compute* dx) {
    C const& c = o.context;
    auto const s = sizes(c);
    auto const x = o.template kept<0>();
    auto const w = o.template parameter<0>();
    auto const dw = o.template gradient<0>();
    auto const add_bias_gradient = [&] {
      if constexpr (L::has_bias) add_row_sum(c, o.template gradient<1>(), dy, s.rows, s.out);
    };
    if constexpr (splits_outputs) {
      add_weight_gradient(c, dw, dy, replicate(x), s);
      add_bias_gradient();
      return all_reduce(c, multiply_back(c, dx, dy, w, s), s.rows * s.in);
    } else if constexpr (splits_inputs) {
      add_weight_gradient(c, dw, replicate(dy), x, s);
      add_bias_gradient();
      return multiply_back(c, dx, replicate(dy), w, s);
    } else {
      add_weight_gradient(c, dw, dy, x, s);
      add_bias_gradient();
      return multiply_back(c, dx, dy, w, s);
    }
  }

 private:
  template <class C>
  static dense_sizes sizes(C const& c) {
    return {c.row_count(on), splits_outputs ? c.share(L::out) : L::out, splits_inputs ? c.share(L::in) : L::in};
  }
};

}  // namespace detail

template <std::size_t In, std::size_t Out, axis Axis, class Init, class Bias, class Split>
struct execution<linear<In, Out, Axis, Init, Bias, Split>>
    : detail::linear_execution<linear<In, Out, Axis, Init, Bias, Split>> {};

template <std::size_t W, std::size_t V, class Weight, class Split>
struct execution<language_head<W, V, Weight, Split>> : detail::linear_execution<language_head<W, V, Weight, Split>> {};

}  // namespace mpx
