/// @file
/// Unscale, look for non-finite values, take the norm, clip: what a step does with its gradients, decided once.
#pragma once

#include <cmath>

#include <mpx/backend/operations.hpp>
#include <mpx/config/config.hpp>
#include <mpx/policy/clipping.hpp>

namespace mpx {

/// Units   sum_of_squares: of the scaled gradients of all parameters; loss_sum: over all tokens
template <clipping_policy Clipping, class A>
[[nodiscard]] MPX_HOST_DEVICE update_decision decide_update(Clipping const& clipping, A sum_of_squares, A loss_sum, float loss_scale) {
  update_decision d;
  d.finite = std::isfinite(sum_of_squares) && std::isfinite(loss_sum);
  d.norm = static_cast<float>(std::sqrt(sum_of_squares)) / loss_scale;
  d.factor = 1.0f / loss_scale;
  if constexpr (clips_by_norm<Clipping>) d.factor *= clipping.scale(d.norm);
  // A policy that gives no number must not reach the weights.
  d.finite = d.finite && std::isfinite(d.norm) && std::isfinite(d.factor);
  return d;
}

/// The same as a machine takes it, from its own sums.
template <clipping_policy Clipping>
struct decides_update {
  Clipping clipping;
  float loss_scale;

  [[nodiscard]] MPX_HOST_DEVICE update_decision operator()(float sum_of_squares, float loss_sum) const {
    return decide_update(clipping, sum_of_squares, loss_sum, loss_scale);
  }
};

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
