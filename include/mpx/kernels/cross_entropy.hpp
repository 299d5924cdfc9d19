/// @file
/// Softmax, cross entropy and its gradient of one row of logits.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include <mpx/config/config.hpp>
#include <mpx/core/dtype.hpp>
#include <mpx/kernels/lanes.hpp>
#include <mpx/kernels/math.hpp>

namespace mpx::kernels {

/// Returns -(1 - e) log p[target] - e / V sum_c log p[c], p = softmax(logits), e = smoothing; 0 when target < 0.
/// With `with_gradient` the logits become gradient_scale * (p - q), q being the smoothed target distribution; 0 when
/// target < 0. Everything is taken relative to the largest logit, so that no finite logits overflow.
/// Shapes  logits: [vocabulary]
/// Source  Szegedy et al. 2015, arXiv:1512.00567, section 7 (label smoothing)
template <lanes L, class T, class A = accumulator_t<T>>
[[nodiscard]] MPX_HOST_DEVICE MPX_INLINE A cross_entropy_row(L const& along, T* logits, std::int32_t target,
                                                             std::size_t vocabulary, A smoothing, A gradient_scale,
                                                             bool with_gradient) {
  if (target < 0) {
    if (with_gradient) along.each(vocabulary, [=](std::size_t c) { logits[c] = T(A(0)); });
    return A(0);
  }
  auto const label = static_cast<std::size_t>(target);
  A const high = along.max(vocabulary, [=](std::size_t c) { return A(logits[c]); });
  A const total = along.sum(vocabulary, [=](std::size_t c) { return exp(A(logits[c]) - high); });
  A const each = smoothing / static_cast<A>(vocabulary);
  A const at_label = A(logits[label]) - high;
  A loss = std::log(total) - (A(1) - smoothing) * at_label;
  if (smoothing > A(0)) loss -= each * along.sum(vocabulary, [=](std::size_t c) { return A(logits[c]) - high; });
  if (with_gradient) {
    A const factor = gradient_scale / total;
    A const spread = gradient_scale * each;
    A const hit = gradient_scale * (A(1) - smoothing);
    along.each(vocabulary, [=](std::size_t c) {
      A const wanted = spread + (c == label ? hit : A(0));
      logits[c] = T(factor * exp(A(logits[c]) - high) - wanted);
    });
  }
  return loss;
}

}  // namespace mpx::kernels
