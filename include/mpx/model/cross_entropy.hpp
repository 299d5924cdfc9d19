/// @file
/// The training objective, described.
#pragma once

#include <array>
#include <cstddef>

#include <mpx/model/layer.hpp>

namespace mpx {

/// loss = sum over tokens of -log softmax(logits)[target]; targets below 0 are padding and count nothing.
/// With label smoothing e the target distribution is (1 - e) at the target plus e / V everywhere.
/// Shapes  logits: [B, T, V]; targets: [B, T] from the feed "targets"
/// Source  Szegedy et al. 2015, arXiv:1512.00567, section 7 (label smoothing)
template <std::size_t V>
struct cross_entropy : layer_defaults {
  static constexpr std::size_t vocabulary = V;
  using row_label = name<"loss">;
  using takes = message<stream<"x", V>>;
  using gives = message<>;
  using feeds = message<feed<"targets", axis::target, V, false, true>, feed<"target_lengths", axis::target, 0, true>>;
  using parameters = boost::hana::tuple<>;
  static constexpr std::array<tensor_extent, 1> saves{{{axis::target, V}}};
  static constexpr bool keeps_input = true;
  static constexpr bool gradient_replaces_input = true;
};

}  // namespace mpx
