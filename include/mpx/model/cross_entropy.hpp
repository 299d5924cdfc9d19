/// @file
/// The training objective, described.
#pragma once

#include <array>
#include <cstddef>

#include <mpx/model/layer.hpp>

namespace mpx {

/// loss = sum over tokens of -log softmax(logits)[target]; targets below 0 are padding and count nothing.
/// With label smoothing e the target distribution is (1 - e) at the target plus e / V everywhere.
/// Each tensor rank holds the logits of its slice of the vocabulary, as language_head gives them; they are never
/// gathered. Logits that every rank has whole are `spread::invariant`.
/// Shapes  logits: [B, T, V]; targets: [B, T] from the feed "targets"
/// Source  Szegedy et al. 2015, arXiv:1512.00567, section 7 (label smoothing)
template <std::size_t V, spread OverTensor = spread::sharded_1>
struct cross_entropy : layer_defaults {
  static constexpr std::size_t vocabulary = V;
  using row_label = name<"loss">;
  using takes = message<stream<"x", V, axis::target, OverTensor>>;
  using gives = message<>;
  using feeds = message<feed<"targets", axis::target, V, false, true>, feed<"target_lengths", axis::target, 0, true>>;
  using parameters = boost::hana::tuple<>;
  static constexpr std::array<tensor_extent, 1> saves{{{axis::target, V, element::compute, per::token, OverTensor}}};
  /// Of each row, over several tensor ranks: its largest logit; the sums that loss and gradient are made of.
  static constexpr std::size_t summed = sharded(OverTensor) ? 1 : 0;
  static constexpr std::array<tensor_extent, 2> forward_scratch{
      {summed_over_ranks(axis::target, summed, element::accumulate),
       summed_over_ranks(axis::target, 3 * summed, element::accumulate)}};
  static constexpr auto forward_sums = forward_scratch;
  static constexpr bool keeps_input = true;
  static constexpr bool gradient_replaces_input = true;
};

}  // namespace mpx
