/// @file
/// Unscale, look for non-finite values, take the norm, clip: what a step does with its gradients, decided once.
#pragma once

#include <cmath>

#include <mpx/config/config.hpp>
#include <mpx/policy/clipping.hpp>

namespace mpx {

/// The same on every device, because it is computed from the same sums in the same order.
struct update_decision {
  bool finite = true;   ///< false: the step is skipped
  float norm = 0;       ///< of all gradients, after unscaling and before clipping
  float factor = 1;     ///< what each gradient is multiplied by: 1 / loss scale, times clipping's own
};

/// Units   sum_of_squares: of the scaled gradients of all parameters; loss_sum: over all tokens
template <clipping_policy Clipping, class A>
[[nodiscard]] update_decision decide_update(Clipping const& clipping, A sum_of_squares, A loss_sum, float loss_scale) {
  update_decision d;
  d.finite = std::isfinite(sum_of_squares) && std::isfinite(loss_sum);
  d.norm = static_cast<float>(std::sqrt(sum_of_squares)) / loss_scale;
  d.factor = 1.0f / loss_scale;
  if constexpr (clips_by_norm<Clipping>) d.factor *= clipping.scale(d.norm);
  // A policy that gives no number must not reach the weights.
  d.finite = d.finite && std::isfinite(d.norm) && std::isfinite(d.factor);
  return d;
}

/// What clipping does to one unscaled gradient element: nothing, unless the policy bounds elements.
template <clipping_policy Clipping>
struct element_bound {
  Clipping clipping;

  template <class A>
  [[nodiscard]] MPX_HOST_DEVICE MPX_INLINE A operator()(A gradient) const {
    if constexpr (clips_by_element<Clipping>) return static_cast<A>(clipping.element(static_cast<float>(gradient)));
    else return gradient;
  }
};

}  // namespace mpx
