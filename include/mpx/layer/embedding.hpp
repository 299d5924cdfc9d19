/// @file
/// Embeddings and positions at work.
#pragma once

#include <cmath>

#include <mpx/layer/operations.hpp>
#include <mpx/model/embedding.hpp>

namespace mpx {

// Known by its members: nvcc never chooses a partial specialisation over a string argument.
template <class L>
  requires requires { typename L::feed_label; L::vocabulary; L::scaled; }
struct execution<L> : no_constants {
  template <class C>
  static auto forward(operands<L, C> const& o, input_view<L, C>, typename C::compute* y) {
    C const& c = o.context;
    auto const table = o.template parameter<0>();
    return reduced(c, y, L::on, L::width, [&](auto* part) {
      auto const looked_up = look_up_of(c, part, table);
      c.machine.embedding_forward(part, table.data, c.feed(L::feed_label::view()), c.row_count(L::on, looked_up), L::width,
                                  factor<C>(), slice(c));
      return looked_up;
    });
  }
  template <class C>
  static auto backward(operands<L, C> const& o, output_gradient_view<L, C> dy, typename C::compute*) {
    C const& c = o.context;
    if (!o.gradients) return;
    with_all_rows(c, dy, L::on, L::width, [&](auto all) {
      c.machine.embedding_backward(look_up_into(o.template gradient<0>(), all), all.data, c.feed(L::feed_label::view()),
                                   c.row_count(L::on, all), L::width, factor<C>(), slice(c));
    });
  }

 private:
  template <class C>
  static id_slice slice(C const& c) {
    return {c.ranks.number() * c.share(L::vocabulary), c.share(L::vocabulary)};
  }
  template <class C>
  static typename C::accumulate factor() {
    return L::scaled ? std::sqrt(static_cast<typename C::accumulate>(L::width)) : 1;
  }
};

namespace detail {

/// y = x + table, a row of the table for each token: a slice of the rows knows its first token.
template <class C, class T, view X, view Table>
auto add_positions(C const& c, T* y, X x, Table table, axis on, std::size_t width) {
  static_cast<void>(sizeof(bias_layouts<laid_out_t<X::mesh_layout>, laid_out_t<Table::mesh_layout>>));
  require_same_memory<C, X, Table>();
  each_run(c.rows_of(on, spread::invariant), static_cast<std::size_t>(c.size.tokens_on(on)), [&](run_of_rows const& run) {
    std::size_t const at = run.before * width;
    c.machine.positions_forward(y + at, x.data + at, table.data + run.token * width, run.sequences, run.tokens, width);
  });
  return view_over<over_mesh(layouts::biased, X::mesh_layout, Table::mesh_layout), X::where>(y);
}

template <class C, class T, view DY>
auto copied(C const& c, T* dx, DY dy, std::size_t n) {
  if (dx) c.machine.copy(dx, dy.data, n * sizeof(T));
  return scaled_of(c, dx, dy);
}

}  // namespace detail

template <std::size_t N, std::size_t W, axis Axis>
struct execution<learned_positions<N, W, Axis>> : no_constants {
  using layer = learned_positions<N, W, Axis>;

  template <class C>
  static auto forward(operands<layer, C> const& o, input_view<layer, C> x, typename C::compute* y) {
    return detail::add_positions(o.context, y, x, o.template parameter<0>(), Axis, W);
  }
  template <class C>
  static auto backward(operands<layer, C> const& o, output_gradient_view<layer, C> dy, typename C::compute* dx) {
    C const& c = o.context;
    if (auto* const gradient = row_sum_into(o.template gradient<0>(), dy))
      each_run(c.rows_of(Axis, spread::invariant), static_cast<std::size_t>(c.size.tokens_on(Axis)), [&](run_of_rows const& run) {
        c.machine.positions_backward(gradient + run.token * W, dy.data + run.before * W, run.sequences, run.tokens, W);
      });
    return detail::copied(c, dx, dy, c.row_count(Axis, dy) * W);
  }
};

template <std::size_t N, std::size_t W, axis Axis>
struct execution<sinusoidal_positions<N, W, Axis>> {
  using layer = sinusoidal_positions<N, W, Axis>;

  template <class C, class T>
  static void prepare(C const& c, T* constants) {
    c.machine.sinusoidal_table(constants, N, W);
  }
  template <class C>
  static auto forward(operands<layer, C> const& o, input_view<layer, C> x, typename C::compute* y) {
    return detail::add_positions(o.context, y, x, o.constant(), Axis, W);
  }
  template <class C>
  static auto backward(operands<layer, C> const& o, output_gradient_view<layer, C> dy, typename C::compute* dx) {
    return detail::copied(o.context, dx, dy, o.context.row_count(Axis, dy) * W);
  }
};

}  // namespace mpx
