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
    c.machine.embedding_forward(y, table.data, c.feed(L::feed_label::view()), c.row_count(L::on), L::width, factor<C>(),
                                slice(c));
    return all_reduce(c, look_up_of(c, y, table), c.row_count(L::on) * L::width);
  }
  template <class C>
  static auto backward(operands<L, C> const& o, output_gradient_view<L, C> dy, typename C::compute*) {
    C const& c = o.context;
    c.machine.embedding_backward(look_up_into(o.template gradient<0>(), replicate(dy)), dy.data,
                                 c.feed(L::feed_label::view()), c.row_count(L::on), L::width, factor<C>(), slice(c));
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

/// y = x + table, a row of the table for each token.
template <class C, class T, view X, view Table>
auto add_positions(C const& c, T* y, X x, Table table, axis on, std::size_t width) {
  c.machine.positions_forward(y, x.data, table.data, c.size.sequences, c.size.tokens_on(on), width);
  static_cast<void>(sizeof(position_layouts<laid_out_t<X::mesh_layout>, laid_out_t<Table::mesh_layout>>));
  require_same_memory<C, X, Table>();
  return view_over<over_mesh(layouts::positioned, X::mesh_layout, Table::mesh_layout), X::where>(y);
}

template <class C, class T, view DY>
auto copied(C const& c, T* dx, DY dy, std::size_t n) {
  c.machine.copy(dx, dy.data, n * sizeof(T));
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
    c.machine.positions_backward(row_sum_into(o.template gradient<0>(), dy), dy.data, c.size.sequences,
                                 c.size.tokens_on(Axis), W);
    return detail::copied(c, dx, dy, c.row_count(Axis) * W);
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
    return detail::copied(o.context, dx, dy, o.context.row_count(Axis) * W);
  }
};

}  // namespace mpx
