/// @file
/// A dense layer, described.
#pragma once

#include <array>
#include <cstddef>
#include <type_traits>

#include <mpx/model/layer.hpp>
#include <mpx/model/options.hpp>

namespace mpx {

/// Over several tensor ranks, a dense layer is whole on each of them (default); or each rank computes a slice of the
/// outputs, which then stand sharded; or each rank computes the part of every output that its slice of the inputs gives,
/// and the parts are summed.
/// Source  Shoeybi et al. 2019, arXiv:1909.08053, section 3 (column and row parallel)
struct whole {};
template <std::size_t Parts = 1>
struct split_outputs {};
struct split_inputs {};

namespace detail {

/// What a split means for input, output, weight and bias.
template <class Split>
struct split_layouts;
template <>
struct split_layouts<whole> {
  static constexpr spread x = spread::invariant, y = spread::invariant;
  static constexpr std::size_t parts = 1;
  using weight = over_tensor<>;
  using bias = over_tensor<>;
};
template <std::size_t Parts>
struct split_layouts<split_outputs<Parts>> {
  static constexpr spread x = spread::invariant, y = spread::sharded_1;
  static constexpr std::size_t parts = Parts;
  using weight = over_tensor<spread::sharded_0, Parts>;
  using bias = over_tensor<spread::sharded_0, Parts>;
};
template <>
struct split_layouts<split_inputs> {
  static constexpr spread x = spread::sharded_1, y = spread::invariant;
  static constexpr std::size_t parts = 1;
  using weight = sharded_inputs;
  using bias = over_tensor<>;
};

}  // namespace detail

/// y = x W^T + b, or x W^T when `Bias` is unbiased.
/// Shapes  x: [B, T, In], y: [B, T, Out], W: [Out, In], b: [Out]
template <std::size_t In, std::size_t Out, axis Axis = axis::target, class Init = init::xavier_uniform,
          class Bias = biased, class Split = whole>
struct linear : layer_defaults {
  static constexpr std::size_t in = In;
  static constexpr std::size_t out = Out;
  static constexpr bool has_bias = std::is_same_v<Bias, biased>;
  using layouts = detail::split_layouts<Split>;
  using row_label = name<"linear">;
  using takes = message<stream<"x", In, Axis, layouts::x>>;
  using gives = message<stream<"x", Out, Axis, layouts::y, layouts::parts>>;
  using weight = parameter<"weight", shape<Out, In>, Init, typename layouts::weight>;
  using bias = parameter<"bias", shape<Out>, init::zeros, typename layouts::bias>;
  using parameters = std::conditional_t<has_bias, boost::hana::tuple<weight, bias>, boost::hana::tuple<weight>>;
  static constexpr std::array<tensor_extent, 1> saves{{{Axis, In, element::compute, per::token, layouts::x}}};
  static constexpr std::array<tensor_extent, 1> forward_sums{summed_over_ranks(Axis, sharded(layouts::x) ? Out : 0)};
  static constexpr std::array<tensor_extent, 1> backward_sums{summed_over_ranks(Axis, sharded(layouts::y) ? In : 0)};
  static constexpr bool keeps_input = true;
  static constexpr double flops(extents const& e) {
    bool const whole = !sharded(layouts::x) && !sharded(layouts::y);  // each rank multiplies the rows that it holds
    std::size_t const rows = e.most_rows(Axis, whole ? spread::invariant : spread::sharded_1);
    return 2.0 * static_cast<double>(rows * e.share(In, layouts::x) * e.share(Out, layouts::y));
  }
};

namespace detail {

template <class Weight, class Wanted>
struct head_layout {
  static_assert(std::is_same_v<Weight, Wanted>,
                "mpx::language_head requires its weight to lie as its split says: mpx::sharded_outputs, or whole where the "
                "head is mpx::whole");
};

}  // namespace detail

/// The table of a head: each tensor rank holds a slice of the vocabulary.
template <std::size_t C, std::size_t V, class Init = init::normal<20>>
using head_weight = parameter<"weight", shape<V, C>, Init, sharded_outputs>;

/// logits = x W^T, from the model's width to its vocabulary; x W^T / sqrt(C) when `Scaled`. Each tensor rank computes the
/// logits of its slice, or all of them when `Split` is whole.
/// Shapes  x: [B, T, C], logits: [B, T, V], W: [V, C]
template <std::size_t C, std::size_t V, class Weight = head_weight<C, V>, bool Scaled = false,
          class Split = split_outputs<>>
struct language_head : layer_defaults {
  static constexpr std::size_t in = C;
  static constexpr std::size_t out = V;
  static constexpr bool has_bias = false;
  using layouts = detail::split_layouts<Split>;
  using row_label = name<"head">;
  using takes = message<stream<"x", C>>;
  using gives = message<stream<"x", V, axis::target, layouts::y>>;
  using parameters = boost::hana::tuple<Weight>;
  static constexpr std::array<tensor_extent, 1> saves{{{axis::target, C}}};
  static constexpr std::array<tensor_extent, 1> backward_sums{summed_over_ranks(axis::target, sharded(layouts::y) ? C : 0)};
  static constexpr std::array<tensor_extent, 1> forward_scratch{{{axis::target, Scaled ? C : 0}}};  // x / sqrt(C)
  static constexpr std::array<tensor_extent, 1> backward_scratch = forward_scratch;
  static constexpr bool keeps_input = true;
  static constexpr double flops(extents const& e) {
    return 2.0 * e.rows(axis::target) * static_cast<double>(C * e.share(V, layouts::y));
  }
  using checked = decltype(verdict_on<detail::head_layout<typename Weight::over, typename layouts::weight>>());
};

/// A head that shares the table of the parameter with this full name, for example "embedding.token.weight".
template <std::size_t C, std::size_t V, fixed_string Table>
using tied_language_head =
    language_head<C, V, tied_parameter<"weight", shape<V, C>, Table, sharded_outputs>>;

}  // namespace mpx
