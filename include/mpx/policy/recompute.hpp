/// @file
/// Which layers keep their activations until backward, and which compute them again.
#pragma once

#include <concepts>

#include <mpx/core/diagnostic.hpp>
#include <mpx/model/layer_info.hpp>

namespace mpx {

/// Decides for each layer. A layer that is recomputed keeps its input alone; all else is computed again, bit for bit,
/// just before its backward. Layers that keep nothing but their input, and losses, are never recomputed.
template <class T>
concept recompute_policy =
    requires(layer_info const& layer) {
      { T::recomputes(layer) } -> std::same_as<bool>;
    } ||
    unsatisfied<"a recompute policy offers `static constexpr bool recomputes(layer_info const&)`", T>();

/// All activations stay in memory: the most memory, the least work.
struct keep_activations {
  static constexpr bool recomputes(layer_info const&) { return false; }
};

/// Every layer is recomputed: one more forward, and one layer's activations in memory instead of all.
/// Source  Chen, Xu, Zhang, Guestrin 2016, arXiv:1604.06174
struct recompute_block {
  static constexpr bool recomputes(layer_info const&) { return true; }
};

}  // namespace mpx
