/// @file
/// Activations and dropout at work.
#pragma once

#include <mpx/layer/operations.hpp>
#include <mpx/model/activation.hpp>

namespace mpx {

template <class Function, std::size_t W, axis Axis, spread Over>
struct execution<activation<Function, W, Axis, Over>> : no_constants {
  using layer = activation<Function, W, Axis, Over>;

  template <class C> static auto forward(operands<layer, C> const& o, input_view<layer, C> x, typename C::compute* y) {
    o.context.machine.template activation_forward<Function>(y, x.data, detail::stream_elements<typename layer::takes>(o.context));
    return function_of(o.context, y, x);
  }
  template <class C>
  static auto backward(operands<layer, C> const& o, output_gradient_view<layer, C> dy, typename C::compute* dx) {
    auto const x = o.template kept<0>();
    o.context.machine.template activation_backward<Function>(dx, dy.data, static_cast<typename C::compute const*>(x.data),
                                                             detail::stream_elements<typename layer::takes>(o.context));
    return product_of(o.context, dx, x, dy);
  }
};

template <class Function, std::size_t F, axis Axis, spread Over>
struct execution<gated_activation<Function, F, Axis, Over>> : no_constants {
  using layer = gated_activation<Function, F, Axis, Over>;

  template <class C> static auto forward(operands<layer, C> const& o, input_view<layer, C> x, typename C::compute* y) {
    C const& c = o.context;
    c.machine.template gated_forward<Function>(y, x.data, c.row_count(Axis, x), c.capacity.share(F, Over));
    return function_of(c, y, x);
  }
  template <class C>
  static auto backward(operands<layer, C> const& o, output_gradient_view<layer, C> dy, typename C::compute* dx) {
    C const& c = o.context;
    auto const x = o.template kept<0>();
    c.machine.template gated_backward<Function>(dx, dy.data, static_cast<typename C::compute const*>(x.data),
                                                c.row_count(Axis, x), c.capacity.share(F, Over));
    return product_of(c, dx, x, dy);
  }
};

namespace detail {

template <class C> float dropout_rate(C const& c) {
  return c.step.mode == run_mode::training ? c.step.dropout : 0.0f;
}

/// Calls drop(first element, draw, run) for each run of rows. The mask of an element depends on where it stands in the whole
/// tensor: a slice knows its first row and channel.
template <class C, class F> void each_draw(C const& c, axis on, std::size_t columns, spread over, F&& drop) {
  std::size_t const width = c.capacity.share(columns, over);
  dropout_draw draw{.key = mixed_key(c.step.seed, c.key),
                    .step = c.step.step,
                    .first_channel = static_cast<std::uint32_t>(sharded(over) ? c.ranks.number() * width : 0),
                    .rate = dropout_rate(c)};
  each_run(c.rows_of(on, over), static_cast<std::size_t>(c.size.tokens_on(on)), [&](run_of_rows const& run) {
    draw.first_sequence = c.first_sequence + static_cast<std::uint32_t>(run.sequence);
    draw.first_token = static_cast<std::uint32_t>(run.token);
    drop(run.before * width, draw, run, width);
  });
}

template <class C, class T, view X> auto dropped(C const& c, T* y, X x, axis on, std::size_t columns, spread over) {
  each_draw(c, on, columns, over, [&](std::size_t at, dropout_draw const& draw, run_of_rows const& run, std::size_t width) {
    c.machine.template dropout<T>(y + at, x.data + at, draw, run.sequences, run.tokens, width);
  });
  return scaled_of(c, y, x);
}

}  // namespace detail

template <std::size_t W, axis Axis, spread Over> struct execution<dropout<W, Axis, Over>> : no_constants {
  using layer = dropout<W, Axis, Over>;

  template <class C> static auto forward(operands<layer, C> const& o, input_view<layer, C> x, typename C::compute* y) {
    return detail::dropped(o.context, y, x, Axis, W, Over);
  }
  template <class C>
  static auto backward(operands<layer, C> const& o, output_gradient_view<layer, C> dy, typename C::compute* dx) {
    return detail::dropped(o.context, dx, dy, Axis, W, Over);
  }
};

template <std::size_t W, axis Axis, spread Over> struct execution<relu_dropout<W, Axis, Over>> : no_constants {
  using layer = relu_dropout<W, Axis, Over>;

  template <class C> static auto forward(operands<layer, C> const& o, input_view<layer, C> x, typename C::compute* y) {
    using T = typename C::compute;
    C const& c = o.context;
    detail::each_draw(c, Axis, W, Over, [&](std::size_t at, dropout_draw const& draw, run_of_rows const& run, std::size_t width) {
      c.machine.template relu_dropout<T>(y + at, x.data + at, draw, run.sequences, run.tokens, width);
    });
    return function_of(c, y, x);
  }
  template <class C>
  static auto backward(operands<layer, C> const& o, output_gradient_view<layer, C> dy, typename C::compute* dx) {
    using T = typename C::compute;
    using A = typename C::accumulate;
    C const& c = o.context;
    auto const y = o.output();
    dropout_draw const draw{.rate = detail::dropout_rate(c)};
    c.machine.template relu_dropout_backward<T>(dx, dy.data, y.data, draw.factor<A>(),
                                                detail::stream_elements<typename layer::takes>(c));
    return product_of(c, dx, y, dy);
  }
};

}  // namespace mpx
