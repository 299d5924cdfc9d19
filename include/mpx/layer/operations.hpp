/// @file
/// A machine's operations over typed views: the layouts of the operands are checked, and give the result's.
///
/// Layers are written in these. What they forbid does not compile: a product of two partial sums, a non-linear function
/// of one, a gradient that is reduced twice or not at all, a view of another kind of device's memory. A result whose memory
/// is null is not asked for, and not computed; its layout is known all the same.
#pragma once

#include <cstddef>
#include <cstdint>

#include <mpx/backend/operations.hpp>
#include <mpx/layer/run.hpp>

namespace mpx {

namespace detail {

template <class X, class W>
struct linear_layouts {
  static_assert(over_mesh(layouts::linear, X::as, W::as).allowed(),
                "mpx::multiply requires its operands to multiply on each axis of the mesh: I x I, R x S<0>, S<1> x S<1>, or "
                "R, V, P, S<0> x R");
};
template <class X, class B>
struct bias_layouts {
  static_assert(over_mesh(layouts::biased, X::as, B::as).allowed(),
                "mpx::add_bias requires its operands to add up on each axis of the mesh: I + I, S<1> + S<0>, or R, V, S<0> + "
                "R; a partial sum is reduced first");
};
template <class A, class B>
struct sum_layouts {
  static_assert(over_mesh(layouts::sum, A::as, B::as).allowed(),
                "mpx::add requires both sides to have one layout: a partial sum is reduced before a whole value is added");
};
template <class X>
struct function_layout {
  static_assert(over_mesh(layouts::function, X::as).allowed(),
                "mpx::layer requires a function that is not linear to take a whole value: f(a + b) is not f(a) + f(b)");
};
template <class A, class B>
struct product_layouts {
  static_assert(over_mesh(layouts::product, A::as, B::as).allowed(),
                "mpx::layer requires factors of one layout, or a partial sum and a replicated factor: a product of two "
                "partial sums is not the sum of their products");
};
template <class X, class W>
struct row_layouts {
  static_assert(over_mesh(layouts::rowwise, X::as, W::as).allowed(),
                "mpx::layer requires a function of rows to take whole rows: I with I, or R, V, S<0> with R");
};
template <class QKV>
struct head_layouts {
  static_assert(over_mesh(layouts::heads, QKV::as).allowed(),
                "mpx::attention requires its operands to hold whole heads and all tokens: I, R, V or S<1>");
};
template <class Ids, class Table>
struct lookup_layouts {
  static_assert(over_mesh(layouts::lookup, Ids::as, Table::as).allowed(),
                "mpx::look_up requires ids and table to be I and I, S<0> or S<1>, or V, S<0> and R");
};
template <class Logits>
struct loss_layouts {
  static_assert(over_mesh(layouts::loss, Logits::as).allowed(),
                "mpx::cross_entropy requires its logits to be whole values: I, V, S<0> or S<1>");
};
template <class X>
struct reducible {
  static_assert(layouts::all_reduce(X::as.tensor) != spread::refused,
                "mpx::all_reduce requires a partial sum: what is whole already would be summed twice");
};
template <class X>
struct replicable {
  static_assert(layouts::replicate(X::as.tensor) != spread::refused,
                "mpx::replicate requires an invariant value: the same on each rank, with the same gradient");
};
template <class X>
struct gatherable {
  static_assert(X::as.tensor == spread::sharded_0,
                "mpx::all_gather requires slices of the rows: S<0>, as mpx::sequence_parallel leaves them");
};
template <class X>
struct scatterable {
  static_assert(layouts::reduce_scatter(X::as.tensor, spread::sharded_0) != spread::refused,
                "mpx::reduce_scatter requires a partial sum: what is whole already would be summed twice");
};
template <class Computed, class Parameter>
struct gradient_layouts {
  static_assert(Computed::as == Parameter::as,
                "mpx::layer requires each parameter's gradient to be added up in the layout that its parameter implies");
};

}  // namespace detail

/// A view over y, with the layout that a rule of the algebra gives.
template <layout Result, device_kind K, class T>
constexpr auto view_over(T* y) {
  return tensor_view<T, Result, K>{y};
}

// --- collectives over the tensor ranks ---------------------------------------------------------------------------------
/// P -> I: the sum over the tensor ranks, in place. Backward is `replicate`.
/// Shapes  x: n elements on each rank
template <class C, view X>
auto all_reduce(C const& c, X x, std::size_t n) {
  static_cast<void>(sizeof(detail::reducible<laid_out_t<X::mesh_layout>>));
  require_same_memory<C, X>();
  if constexpr (C::tensor_ranks > 1)
    if (x.data) c.ranks.all_reduce(x.data, n);
  return view_over<over_axis(mesh_axis::tensor, layouts::all_reduce, X::mesh_layout), X::where>(x.data);
}

/// I -> R: the same value, of which each rank uses its part. Backward is `all_reduce`.
template <view X>
auto replicate(X x) {
  static_cast<void>(sizeof(detail::replicable<laid_out_t<X::mesh_layout>>));
  return view_over<over_axis(mesh_axis::tensor, layouts::replicate, X::mesh_layout), X::where>(x.data);
}

/// S<0> -> R: all rows, behind each other, of the slices that the tensor ranks hold. Backward is `reduce_scatter`.
/// Shapes  x: [rows of this rank, width], all: [rows, width]
template <class C, class T, view X>
auto all_gather(C const& c, T* all, X x, axis rows, std::size_t width) {
  static_cast<void>(sizeof(detail::gatherable<laid_out_t<X::mesh_layout>>));
  require_same_memory<C, X>();
  c.ranks.all_gather(static_cast<T const*>(x.data), all, c.slices(rows, width));
  return view_over<over_axis(mesh_axis::tensor, layouts::all_gather, X::mesh_layout), X::where>(all);
}

/// P -> S<0>: this rank's rows of the sum over the tensor ranks. Backward is `all_gather`.
/// Shapes  part: [rows, width] on each rank, y: [rows of this rank, width]
template <class C, class T, view X>
auto reduce_scatter(C const& c, T* y, X part, axis rows, std::size_t width) {
  static_cast<void>(sizeof(detail::scatterable<laid_out_t<X::mesh_layout>>));
  require_same_memory<C, X>();
  if (y) c.ranks.reduce_scatter(part.data, y, c.slices(rows, width));
  auto const slice = [](spread s) { return layouts::reduce_scatter(s, spread::sharded_0); };
  return view_over<over_axis(mesh_axis::tensor, slice, X::mesh_layout), X::where>(y);
}

/// Calls use(all rows of x, replicated), and gives what it gives: I is replicated; S<0> is gathered into scratch that lives
/// as long as the call. Its backward is `reduced`.
/// Shapes  x: [rows that this rank holds, width]
template <class C, view X, class Use>
auto with_all_rows(C const& c, X x, axis rows, std::size_t width, Use use) {
  if constexpr (X::mesh_layout.tensor == spread::sharded_0) {
    typename scratch_space::frame const frame(c.scratch);
    auto* const all = c.template take<typename C::compute>({rows, width, element::compute, per::token, spread::replicated});
    return use(all_gather(c, all, x, rows, width));
  } else {
    return use(replicate(x));
  }
}

/// Calls product(at), which writes a part of a sum for all rows there and gives a view of it. The sum over the tensor ranks
/// is then at y: P becomes I, or, where ranks divide the rows, S<0>. Its backward is `with_all_rows`.
/// Shapes  y: [rows that this rank holds, width]
template <class C, class T, class Product>
auto reduced(C const& c, T* y, axis rows, std::size_t width, Product product) {
  if constexpr (C::rows_over_tensor == spread::sharded_0) {
    typename scratch_space::frame const frame(c.scratch);
    T* const at = y ? c.template take<T>({rows, width, element::compute, per::token, spread::replicated}) : nullptr;
    return reduce_scatter(c, y, product(at), rows, width);
  } else {
    return all_reduce(c, product(y), c.row_count(rows) * width);
  }
}

/// Rows of a slice that belong to the same tokens of one sequence or several.
struct run_of_rows {
  std::size_t before = 0;     ///< rows of the slice in front of it
  std::size_t sequence = 0;   ///< its first one
  std::size_t token = 0;      ///< its first one, in each sequence
  std::size_t sequences = 0;
  std::size_t tokens = 0;     ///< of each sequence
};

/// Calls f(run) for what a slice has of its first sequence, for whole sequences behind it, and for what is left of a last one.
template <class F>
void each_run(row_slice rows, std::size_t tokens, F f) {
  std::size_t const end = rows.first + rows.count;
  for (std::size_t row = rows.first; row < end;) {
    std::size_t const token = row % tokens, left = end - row;
    std::size_t const many = token == 0 && left >= tokens ? left / tokens : 1;
    std::size_t const each = token == 0 && left >= tokens ? tokens : left < tokens - token ? left : tokens - token;
    f(run_of_rows{row - rows.first, row / tokens, token, many, each});
    row += many * each;
  }
}

// --- products ----------------------------------------------------------------------------------------------------------
/// Rows, outputs and inputs of a dense layer on one rank, and the token axis of its rows.
struct dense_sizes {
  std::size_t rows = 0;
  std::size_t out = 0;
  std::size_t in = 0;
  axis on = axis::target;
};

namespace detail {

/// y = x w^T + b, rounded once; b may be null. And gelu of y, where the context asks for it.
template <class C, class T>
void multiply_rows(C const& c, T* y, T const* x, T const* w, T const* b, dense_sizes s) {
  gemm_shape const shape{.m = s.rows, .n = s.out, .k = s.in, .transpose_b = true};
  if constexpr (C::gelu_within_products)
    if (c.activated) return c.machine.template gemm_with_gelu<T>(shape, x, w, y, c.activated, b);
  c.machine.template gemm<T>(shape, x, w, y, b);
}

}  // namespace detail

/// y = x w^T
/// Shapes  x: [rows, in], w: [out, in], y: [rows, out]
template <class C, class T, view X, view W>
auto multiply(C const& c, T* y, X x, W w, dense_sizes s) {
  static_cast<void>(sizeof(detail::linear_layouts<laid_out_t<X::mesh_layout>, laid_out_t<W::mesh_layout>>));
  require_same_memory<C, X, W>();
  detail::multiply_rows<C, T>(c, y, x.data, w.data, nullptr, s);
  return view_over<over_mesh(layouts::linear, X::mesh_layout, W::mesh_layout), X::where>(y);
}

/// y = x w^T + b, rounded once
template <class C, class T, view X, view W, view B>
auto multiply(C const& c, T* y, X x, W w, B b, dense_sizes s) {
  constexpr layout product = over_mesh(layouts::linear, X::mesh_layout, W::mesh_layout);
  static_cast<void>(sizeof(detail::linear_layouts<laid_out_t<X::mesh_layout>, laid_out_t<W::mesh_layout>>));
  static_cast<void>(sizeof(detail::bias_layouts<laid_out_t<product>, laid_out_t<B::mesh_layout>>));
  require_same_memory<C, X, W, B>();
  detail::multiply_rows<C, T>(c, y, x.data, w.data, b.data, s);
  return view_over<over_mesh(layouts::biased, product, B::mesh_layout), X::where>(y);
}

/// y = the sum over the tensor ranks of x w^T: what their slices of the inputs give.
template <class C, class T, view X, view W>
auto multiply_reduced(C const& c, T* y, X x, W w, dense_sizes s) {
  return reduced(c, y, s.on, s.out, [&](T* part) { return multiply(c, part, x, w, s); });
}

/// The same, + b. One rank rounds once; several add b to the reduced sum.
template <class C, class T, view X, view W, view B>
auto multiply_reduced(C const& c, T* y, X x, W w, B b, dense_sizes s) {
  using sum = decltype(multiply_reduced(c, y, x, w, s));
  static_cast<void>(sizeof(detail::bias_layouts<laid_out_t<sum::mesh_layout>, laid_out_t<B::mesh_layout>>));
  if constexpr (C::tensor_ranks == 1) {
    require_same_memory<C, X, W, B>();
    detail::multiply_rows<C, T>(c, y, x.data, w.data, b.data, s);
  } else {
    auto const whole = multiply_reduced(c, y, x, w, s);
    c.machine.add_bias(y, b.data, c.row_count(s.on, whole), s.out);
  }
  return view_over<over_mesh(layouts::biased, sum::mesh_layout, B::mesh_layout), X::where>(y);
}

/// Where the gradient of a weight is added up, if the layouts say so.
template <view G, view DY, view X>
auto* weight_gradient_into(G gradient, DY, X) {
  constexpr layout given = over_mesh(layouts::weight_gradient, DY::mesh_layout, X::mesh_layout);
  static_cast<void>(sizeof(detail::gradient_layouts<laid_out_t<given>, laid_out_t<G::mesh_layout>>));
  return gradient.data;
}

/// Of the product that gives it: it is added to, or written where gradients are replaced.
template <class C>
gemm_shape weight_gradient_shape(C const& c, dense_sizes s) {
  return {.m = s.out, .n = s.in, .k = s.rows, .transpose_a = true, .accumulate = !c.replaces_gradients};
}

/// dw += dy^T x; dw = dy^T x where gradients are replaced.
template <class C, view G, view DY, view X>
void add_weight_gradient(C const& c, G dw, DY dy, X x, dense_sizes s) {
  using T = typename C::compute;
  require_same_memory<C, G, DY, X>();
  T const* const no_bias = nullptr;
  if (auto* const sum = weight_gradient_into(dw, dy, x))
    c.machine.template gemm<T>(weight_gradient_shape(c, s), dy.data, x.data, sum, no_bias);
}

/// Where the gradient of a vector that stands in each row is added up, if the layouts say so.
template <view G, view DY>
auto* row_sum_into(G gradient, DY) {
  static_cast<void>(sizeof(detail::gradient_layouts<laid_out_t<over_mesh(layouts::row_sum, DY::mesh_layout)>, laid_out_t<G::mesh_layout>>));
  return gradient.data;
}

/// db += sum over rows of dy
template <class C, view G, view DY>
void add_row_sum(C const& c, G db, DY dy, std::size_t rows, std::size_t width) {
  require_same_memory<C, G, DY>();
  if (auto* const sum = row_sum_into(db, dy)) c.machine.template column_sum<typename C::compute>(sum, dy.data, rows, width);
}

/// dw as add_weight_gradient, and db += sum over the rows that this rank holds of dy: of all rows, or of its slice where
/// ranks divide them. One product gives both where the machine offers that and the rows are the same.
/// Shapes  all_dy: [rows, out], dy: [rows that this rank holds, out], x: [rows, in], dw: [out, in], db: [out]
template <class C, view G, view B, view All, view DY, view X>
void add_dense_gradients(C const& c, G dw, B db, All all_dy, DY dy, X x, dense_sizes s) {
  using T = typename C::compute;
  constexpr bool same_rows = All::mesh_layout == DY::mesh_layout || DY::mesh_layout.tensor != spread::sharded_0;
  if constexpr (same_rows && C::sums_within_products) {
    require_same_memory<C, G, B, All, DY, X>();
    auto* const weight = weight_gradient_into(dw, all_dy, x);
    auto* const bias = row_sum_into(db, dy);
    if (weight) c.machine.template gemm_with_row_sum<T>(weight_gradient_shape(c, s), all_dy.data, x.data, weight, bias);
  } else {
    add_weight_gradient(c, dw, all_dy, x, s);
    add_row_sum(c, db, dy, same_rows ? s.rows : c.row_count(s.on, dy), s.out);
  }
}

/// dx = dy w; where the context says what x is gelu of, the gradient of that.
template <class C, class T, view DY, view W>
auto multiply_back(C const& c, T* dx, DY dy, W w, dense_sizes s) {
  constexpr layout given = over_mesh(layouts::input_gradient, DY::mesh_layout, W::mesh_layout);
  static_cast<void>(sizeof(detail::linear_layouts<laid_out_t<gradient_layout(given)>, laid_out_t<W::mesh_layout>>));
  require_same_memory<C, DY, W>();
  T const* const no_bias = nullptr;
  gemm_shape const shape{.m = s.rows, .n = s.in, .k = s.out};
  if constexpr (C::gelu_within_products) {
    if (dx && c.preactivation) {
      c.machine.template gemm_with_gelu_gradient<T>(shape, dy.data, w.data, dx, c.preactivation);
      return view_over<given, DY::where>(dx);
    }
  }
  if (dx) c.machine.template gemm<T>(shape, dy.data, w.data, dx, no_bias);
  return view_over<given, DY::where>(dx);
}

/// dx += dy w: what a second product gives x's gradient. In T it is rounded once more.
template <class C, view DX, view DY, view W>
void add_multiplied_back(C const& c, DX dx, DY dy, W w, dense_sizes s) {
  using T = typename C::compute;
  constexpr layout given = over_mesh(layouts::input_gradient, DY::mesh_layout, W::mesh_layout);
  static_cast<void>(sizeof(detail::linear_layouts<laid_out_t<gradient_layout(given)>, laid_out_t<W::mesh_layout>>));
  static_cast<void>(sizeof(detail::sum_layouts<laid_out_t<DX::mesh_layout>, laid_out_t<given>>));
  require_same_memory<C, DX, DY, W>();
  T const* const no_bias = nullptr;
  if (dx.data)
    c.machine.template gemm<T>({.m = s.rows, .n = s.in, .k = s.out, .accumulate = true}, dy.data, w.data, dx.data, no_bias);
}

// --- functions: what is written to y is f(x), and lies so ----------------------------------------------------------------
/// f, element by element, is not linear.
template <class C, class T, view X>
auto function_of(C const&, T* y, X) {
  static_cast<void>(sizeof(detail::function_layout<laid_out_t<X::mesh_layout>>));
  require_same_memory<C, X>();
  return view_over<over_mesh(layouts::function, X::mesh_layout), X::where>(y);
}

/// A product with another factor, element by element: a gradient that passes back through a function of x.
template <class C, class T, view X, view B>
auto product_of(C const&, T* y, X, B) {
  static_cast<void>(sizeof(detail::product_layouts<laid_out_t<X::mesh_layout>, laid_out_t<B::mesh_layout>>));
  require_same_memory<C, X, B>();
  return view_over<over_mesh(layouts::product, X::mesh_layout, B::mesh_layout), X::where>(y);
}

/// A function of whole rows and a vector.
template <class C, class T, view X, view W>
auto rows_of(C const&, T* y, X, W) {
  static_cast<void>(sizeof(detail::row_layouts<laid_out_t<X::mesh_layout>, laid_out_t<W::mesh_layout>>));
  require_same_memory<C, X, W>();
  return view_over<over_mesh(layouts::rowwise, X::mesh_layout, W::mesh_layout), X::where>(y);
}

/// Linear in x, with the same factors on each rank, such as a mask: the layout stays, whatever it is.
template <class C, class T, view X>
auto scaled_of(C const&, T* y, X) {
  require_same_memory<C, X>();
  return view_over<X::mesh_layout, X::where>(y);
}

/// Attention of heads of q and of k and v, which lie alike.
template <class C, class T, view Q, view KV>
auto attended_of(C const&, T* o, Q, KV) {
  static_cast<void>(sizeof(detail::head_layouts<laid_out_t<Q::mesh_layout>>));
  static_cast<void>(sizeof(detail::sum_layouts<laid_out_t<Q::mesh_layout>, laid_out_t<KV::mesh_layout>>));
  require_same_memory<C, Q, KV>();
  return view_over<over_mesh(layouts::heads, Q::mesh_layout), Q::where>(o);
}

/// y += x, element by element
/// Shapes  y, x: n elements on each rank
template <class C, view Y, view X>
auto add(C const& c, Y y, X x, std::size_t n) {
  static_cast<void>(sizeof(detail::sum_layouts<laid_out_t<Y::mesh_layout>, laid_out_t<X::mesh_layout>>));
  require_same_memory<C, Y, X>();
  c.machine.template add<typename C::compute>(y.data, x.data, n);
  return view_over<over_mesh(layouts::sum, Y::mesh_layout, X::mesh_layout), Y::where>(y.data);
}

/// Rows of a table, by ids.
template <class C, class T, view Table>
auto look_up_of(C const&, T* y, Table) {
  constexpr layout ids = activation_layout(spread::invariant);
  static_cast<void>(sizeof(detail::lookup_layouts<laid_out_t<ids>, laid_out_t<Table::mesh_layout>>));
  require_same_memory<C, Table>();
  return view_over<over_mesh(layouts::lookup, ids, Table::mesh_layout), Table::where>(y);
}

/// Scores that gain a table's rows, by the distance between two tokens: heads and table lie alike.
template <view Heads, view Table>
auto* score_bias_of(Heads, Table table) {
  constexpr layout ids = activation_layout(spread::invariant);
  static_cast<void>(sizeof(
      detail::sum_layouts<laid_out_t<Heads::mesh_layout>, laid_out_t<over_mesh(layouts::lookup, ids, Table::mesh_layout)>>));
  return table.data;
}

/// Where the gradient of a table of rows is added up, if the layouts say so.
template <view G, view DY>
auto* look_up_into(G gradient, DY) {
  constexpr layout ids = activation_layout(spread::invariant);
  static_cast<void>(sizeof(
      detail::gradient_layouts<laid_out_t<over_mesh(layouts::lookup_gradient, ids, DY::mesh_layout)>, laid_out_t<G::mesh_layout>>));
  return gradient.data;
}

/// A sum over all rows of a loss, whose parts on data ranks and stages are yet to be added.
template <class C, view Logits>
auto loss_of(C const& c, Logits) {
  static_cast<void>(sizeof(detail::loss_layouts<laid_out_t<Logits::mesh_layout>>));
  require_same_memory<C, Logits>();
  return view_over<over_mesh(layouts::loss, Logits::mesh_layout), Logits::where>(c.loss);
}

}  // namespace mpx
