/// @file
/// How a tensor lies over the ranks of a mesh, and what each operation makes of that.
///
/// A tensor is a view on one rank; the tensor of the whole mesh follows from its spread on each axis. Every rule below
/// is one of arithmetic: it names the spread in which the same local operation, on every rank, gives the right result
/// of the whole. What has no such spread is refused. Only a collective leads from one spread to another.
/// Source  Shoeybi et al. 2019, arXiv:1909.08053, section 3 (replicate and all_reduce are its f and g)
#pragma once

#include <cstddef>

namespace mpx {

/// What the ranks of one mesh axis hold of a tensor.
enum class spread : unsigned char {
  invariant,   ///< I: the same value everywhere, and the same gradient everywhere
  replicated,  ///< R: the same value everywhere; each rank contributes a part of its gradient
  varying,     ///< V: a value of its own on each rank, such as other samples
  partial,     ///< P: the value is the sum over the ranks, not yet taken
  sharded_0,   ///< S<0>: each rank holds a slice of dimension 0: rows of an activation, outputs of a weight
  sharded_1,   ///< S<1>: each rank holds a slice of dimension 1: columns of an activation, inputs of a weight
  refused,     ///< the operation has no right result
};

/// An axis of the mesh: a device is a coordinate on the three of them.
enum class mesh_axis : unsigned char { tensor, data, pipeline };

/// A tensor's spread on each axis of the mesh.
struct layout {
  spread tensor = spread::invariant;
  spread data = spread::varying;
  spread pipeline = spread::varying;

  friend constexpr bool operator==(layout const&, layout const&) = default;
  [[nodiscard]] constexpr bool allowed() const {
    return tensor != spread::refused && data != spread::refused && pipeline != spread::refused;
  }
  [[nodiscard]] constexpr bool any(spread one) const { return tensor == one || data == one || pipeline == one; }
};

/// An activation: every data rank has samples of its own, and it lives where its stage does.
[[nodiscard]] constexpr layout activation_layout(spread over_tensor) { return {over_tensor, spread::varying, spread::varying}; }
/// A parameter: data ranks, and the stages that share it when it is tied, hold the same values and contribute to its
/// gradient what their samples and their layers do.
[[nodiscard]] constexpr layout parameter_layout(spread over_tensor) { return {over_tensor, spread::replicated, spread::replicated}; }

[[nodiscard]] constexpr bool sharded(spread s) { return s == spread::sharded_0 || s == spread::sharded_1; }

/// What tensor ranks hold of an activation that its description calls whole: all rows (`rows` is invariant), or a slice of
/// them (sharded_0). Slices of columns are what they are.
/// Source  Korthikanti et al. 2022, arXiv:2205.05198, section 4.2.2 (sequence parallel)
[[nodiscard]] constexpr spread activation_spread(spread described, spread rows) {
  return described == spread::invariant ? rows : described;
}
/// And of a parameter: a whole one that meets slices of the rows knows a part of its gradient on each rank.
[[nodiscard]] constexpr spread parameter_spread(spread described, spread rows) {
  return described == spread::invariant && rows == spread::sharded_0 ? spread::replicated : described;
}

/// The operations of the algebra, on one axis. `x`, `y`: activations [rows, columns]; `w`: weights [out, in].
namespace layouts {

/// The spread of d loss / d x, given that of x.
[[nodiscard]] constexpr spread gradient(spread x) {
  if (x == spread::replicated) return spread::partial;
  if (x == spread::partial) return spread::replicated;
  return x;
}

/// a + b, element by element: never a partial sum with a whole one.
[[nodiscard]] constexpr spread sum(spread a, spread b) { return a == b ? a : spread::refused; }

/// a * b, element by element: a product of two sums is not the sum of the products.
[[nodiscard]] constexpr spread product(spread a, spread b) {
  using enum spread;
  if (a == partial || b == partial) {
    spread const other = a == partial ? b : a;
    return other == replicated ? partial : refused;
  }
  return a == b ? a : refused;
}

/// f(x), element by element, f not linear: f(a + b) is not f(a) + f(b).
[[nodiscard]] constexpr spread function(spread x) { return x == spread::partial ? spread::refused : x; }

/// y = x w^T: [rows, in] times [out, in].
[[nodiscard]] constexpr spread linear(spread x, spread w) {
  using enum spread;
  if (x == invariant && w == invariant) return invariant;
  if (x == replicated && w == sharded_0) return sharded_1;  // column parallel
  if (x == sharded_1 && w == sharded_1) return partial;     // row parallel
  if (w == replicated && (x == replicated || x == varying || x == partial || x == sharded_0)) return x;
  if (x == replicated && w == partial) return partial;
  return refused;
}

/// dw = dy^T x: summed over rows.
[[nodiscard]] constexpr spread weight_gradient(spread dy, spread x) {
  using enum spread;
  if (dy == invariant && x == invariant) return invariant;
  if (dy == sharded_1 && x == replicated) return sharded_0;
  if (dy == replicated && x == sharded_1) return sharded_1;
  if (dy == x && (x == varying || x == sharded_0)) return partial;
  if ((dy == partial && x == replicated) || (dy == replicated && x == partial)) return partial;
  if (dy == replicated && x == replicated) return replicated;
  return refused;
}

/// dx = dy w: summed over outputs.
[[nodiscard]] constexpr spread input_gradient(spread dy, spread w) {
  using enum spread;
  if (dy == invariant && w == invariant) return invariant;
  if (dy == sharded_1 && w == sharded_0) return partial;
  if (dy == replicated && w == sharded_1) return sharded_1;
  if (w == replicated && (dy == replicated || dy == varying || dy == partial || dy == sharded_0)) return dy;
  if (dy == replicated && w == partial) return partial;
  return refused;
}

/// x[r] + b, the same vector in each row.
[[nodiscard]] constexpr spread biased(spread x, spread b) {
  using enum spread;
  if (x == invariant && b == invariant) return invariant;
  if (x == sharded_1 && b == sharded_0) return sharded_1;
  if (b == replicated && (x == replicated || x == varying || x == sharded_0)) return x;
  if (x == partial && b == partial) return partial;
  return refused;
}

/// sum over rows of dy: the gradient of a vector that stands in each row.
[[nodiscard]] constexpr spread row_sum(spread dy) {
  using enum spread;
  if (dy == sharded_1) return sharded_0;
  if (dy == varying || dy == sharded_0) return partial;
  return dy;  // R: of a partial x; P: of a replicated one
}

/// A function of whole rows and a vector, such as a norm: a slice of the columns is not enough.
[[nodiscard]] constexpr spread rowwise(spread x, spread w) {
  using enum spread;
  if (x == sharded_1 || x == partial) return refused;
  return x == replicated && w == partial ? partial : biased(x, w);
}

/// Attention of each head: a slice of the columns is whole heads, a slice of the rows lacks tokens.
[[nodiscard]] constexpr spread heads(spread qkv) {
  return qkv == spread::sharded_0 ? spread::refused : function(qkv);
}

/// y[r] = table[ids[r]]: what another rank's slice of the table holds is 0 here.
[[nodiscard]] constexpr spread lookup(spread ids, spread table) {
  using enum spread;
  if (ids == invariant && (table == invariant || table == sharded_1)) return table;
  if (ids == invariant && table == sharded_0) return partial;
  if (table == replicated && (ids == varying || ids == sharded_0)) return ids;
  return refused;
}

/// dtable[ids[r]] += dy[r]
[[nodiscard]] constexpr spread lookup_gradient(spread ids, spread dy) {
  using enum spread;
  if (ids == invariant && (dy == invariant || dy == sharded_1)) return dy;
  if (ids == invariant && dy == replicated) return sharded_0;
  if (ids == dy && (dy == varying || dy == sharded_0)) return partial;
  return refused;
}

/// The loss summed over rows. Over a slice of the vocabulary it takes its row maxima and sums over all ranks.
[[nodiscard]] constexpr spread loss(spread logits) {
  using enum spread;
  if (logits == invariant || logits == sharded_1) return invariant;
  if (logits == varying || logits == sharded_0) return partial;
  return refused;
}

/// sum of x^2: slices add up, copies do not.
[[nodiscard]] constexpr spread squares(spread x) {
  using enum spread;
  if (x == invariant) return invariant;
  if (sharded(x)) return partial;
  return refused;
}

/// The new weight, from a weight and its gradient: the gradient is a whole one, in the weight's slice.
[[nodiscard]] constexpr spread update(spread w, spread gradient) {
  using enum spread;
  if ((w == invariant || w == replicated) && gradient == invariant) return w;
  if (sharded(w) && gradient == w) return w;
  return refused;
}

// Collectives: the only way from one spread to another. Beside each stands the one that its backward is.
[[nodiscard]] constexpr spread all_reduce(spread x) { return x == spread::partial ? spread::invariant : spread::refused; }
[[nodiscard]] constexpr spread replicate(spread x) { return x == spread::invariant ? spread::replicated : spread::refused; }
[[nodiscard]] constexpr spread all_gather(spread x) { return sharded(x) ? spread::replicated : spread::refused; }
[[nodiscard]] constexpr spread reduce_scatter(spread x, spread slice) {
  return x == spread::partial && sharded(slice) ? slice : spread::refused;
}

}  // namespace layouts

/// A rule on each axis of the mesh: over_mesh(layouts::linear, x, w).
template <class Rule, class... L>
[[nodiscard]] constexpr layout over_mesh(Rule rule, L const&... of) {
  return {rule(of.tensor...), rule(of.data...), rule(of.pipeline...)};
}

[[nodiscard]] constexpr layout gradient_layout(layout const& x) { return over_mesh(layouts::gradient, x); }

/// A rule on one axis; the other axes are as they were.
template <class Rule>
[[nodiscard]] constexpr layout over_axis(mesh_axis axis, Rule rule, layout x) {
  if (axis == mesh_axis::tensor) x.tensor = rule(x.tensor);
  if (axis == mesh_axis::data) x.data = rule(x.data);
  if (axis == mesh_axis::pipeline) x.pipeline = rule(x.pipeline);
  return x;
}

/// A layout as a fact that errors print, axis by axis.
template <spread Tensor, spread Data, spread Pipeline>
struct laid_out {
  static constexpr layout as{Tensor, Data, Pipeline};
};
template <layout L>
struct layout_fact {
  using type = laid_out<L.tensor, L.data, L.pipeline>;
};
template <layout L>
using laid_out_t = typename layout_fact<L>::type;

}  // namespace mpx
