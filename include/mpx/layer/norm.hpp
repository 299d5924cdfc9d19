/// @file
/// Norms at work.
#pragma once

#include <mpx/layer/operations.hpp>
#include <mpx/model/norm.hpp>

namespace mpx {

template <std::size_t W, axis Axis>
struct execution<layer_norm<W, Axis>> : no_constants {
  using layer = layer_norm<W, Axis>;

  template <class C>
  static auto forward(operands<layer, C> const& o, input_view<layer, C> x, typename C::compute* y) {
    C const& c = o.context;
    auto const weight = o.template parameter<0>(), bias = o.template parameter<1>();
    auto const given = rows_of(c, y, x, weight);
    c.machine.layer_norm_forward(y, o.template kept<1>().data, o.template kept<2>().data, x.data, weight.data, bias.data,
                                 c.row_count(Axis, x), W);
    return given;
  }
  template <class C>
  static auto backward(operands<layer, C> const& o, output_gradient_view<layer, C> dy, typename C::compute* dx) {
    C const& c = o.context;
    using T = typename C::compute;
    using A = typename C::accumulate;
    auto const x = o.template kept<0>();
    c.machine.layer_norm_backward(dx, row_sum_into(o.template gradient<0>(), dy), row_sum_into(o.template gradient<1>(), dy),
                                  dy.data, static_cast<T const*>(x.data), static_cast<A const*>(o.template kept<1>().data),
                                  static_cast<A const*>(o.template kept<2>().data), o.template parameter<0>().data,
                                  c.row_count(Axis, x), W);
    return product_of(c, dx, x, dy);
  }
};

template <std::size_t W, axis Axis>
struct execution<rms_norm<W, Axis>> : no_constants {
  using layer = rms_norm<W, Axis>;

  template <class C>
  static auto forward(operands<layer, C> const& o, input_view<layer, C> x, typename C::compute* y) {
    C const& c = o.context;
    auto const weight = o.template parameter<0>();
    c.machine.rms_norm_forward(y, o.template kept<1>().data, x.data, weight.data, c.row_count(Axis, x), W);
    return rows_of(c, y, x, weight);
  }
  template <class C>
  static auto backward(operands<layer, C> const& o, output_gradient_view<layer, C> dy, typename C::compute* dx) {
    C const& c = o.context;
    using T = typename C::compute;
    using A = typename C::accumulate;
    auto const x = o.template kept<0>();
    c.machine.rms_norm_backward(dx, row_sum_into(o.template gradient<0>(), dy), dy.data, static_cast<T const*>(x.data),
                                static_cast<A const*>(o.template kept<1>().data), o.template parameter<0>().data,
                                c.row_count(Axis, x), W);
    return product_of(c, dx, x, dy);
  }
};

}  // namespace mpx
