/// @file
/// Softmax, cross entropy and its gradient of one row of logits, or of a slice of one.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include <mpx/backend/operations.hpp>
#include <mpx/config/config.hpp>
#include <mpx/core/dtype.hpp>
#include <mpx/kernels/lanes.hpp>
#include <mpx/kernels/math.hpp>

namespace mpx::kernels {

/// Sums over a row of logits, each relative to the row's largest one: of exponentials, of the label's logit, of all.
template <class A>
struct cross_entropy_parts {
  A total = 0;
  A at_label = 0;
  A all = 0;
};

/// What a slice of the vocabulary contributes to a row's sums; nothing when target < 0. The sum of all is asked for where
/// the target is smoothed.
/// Shapes  logits: [mine.count]; high: the largest logit of all slices
template <lanes L, class T, class A = accumulator_t<T>>
[[nodiscard]] MPX_HOST_DEVICE MPX_INLINE cross_entropy_parts<A> cross_entropy_sums_row(L const& along, T const* logits, A high,
                                                                                       std::int32_t target, id_slice mine, bool with_all) {
  cross_entropy_parts<A> parts;
  if (target < 0) return parts;
  std::size_t const label = static_cast<std::size_t>(target) - mine.first;  // beyond the slice where it is before it
  parts.total = along.sum(mine.count, [=](std::size_t c) { return exp(A(logits[c]) - high); });
  if (with_all) parts.all = along.sum(mine.count, [=](std::size_t c) { return A(logits[c]) - high; });
  if (label < mine.count) parts.at_label = A(logits[label]) - high;
  return parts;
}

/// What a logit becomes: factor exp(logit - high) - smooth, less `hit` for the label's.
template <class A>
struct cross_entropy_slope {
  A high, factor, smooth, hit;
};

/// gradient_scale * (p - q), q being the smoothed target distribution.
template <class A>
[[nodiscard]] MPX_HOST_DEVICE MPX_INLINE cross_entropy_slope<A> cross_entropy_slope_of(A high, A total, std::size_t vocabulary,
                                                                                       A smoothing, A gradient_scale) {
  A const each = smoothing / static_cast<A>(vocabulary);
  return {high, gradient_scale / total, gradient_scale * each, gradient_scale * (A(1) - smoothing)};
}

/// A run of logits becomes its gradient.
/// Shapes  logits: [n]; label: its place in the run, or n and more
template <lanes L, class T, class A = accumulator_t<T>>
MPX_HOST_DEVICE MPX_INLINE void cross_entropy_gradient(L const& along, T* logits, std::size_t n,
                                                       cross_entropy_slope<A> const& slope, std::size_t label) {
  along.each(n, [=](std::size_t c) {
    A const wanted = slope.smooth + (c == label ? slope.hit : A(0));
    logits[c] = T(slope.factor * exp(A(logits[c]) - slope.high) - wanted);
  });
}

/// -(1 - e) log p[target] - e / V sum_c log p[c], p = softmax(logits), e = smoothing; 0 when target < 0. `parts` are the
/// sums over all slices of the vocabulary.
/// With `with_gradient` the slice's logits become gradient_scale * (p - q), q being the smoothed target distribution; 0
/// when target < 0. Everything is relative to the largest logit, so that no finite logits overflow.
/// Shapes  logits: [mine.count]
/// Source  Szegedy et al. 2015, arXiv:1512.00567, section 7 (label smoothing)
template <lanes L, class T, class A = accumulator_t<T>>
[[nodiscard]] MPX_HOST_DEVICE MPX_INLINE A cross_entropy_slice_row(L const& along, T* logits, A high,
                                                                   cross_entropy_parts<A> const& parts,
                                                                   std::int32_t target, std::size_t vocabulary,
                                                                   id_slice mine, A smoothing, A gradient_scale,
                                                                   bool with_gradient) {
  if (target < 0) {
    if (with_gradient) along.each(mine.count, [=](std::size_t c) { logits[c] = T(A(0)); });
    return A(0);
  }
  std::size_t const label = static_cast<std::size_t>(target) - mine.first;
  A const each = smoothing / static_cast<A>(vocabulary);
  A loss = std::log(parts.total) - (A(1) - smoothing) * parts.at_label;
  if (smoothing > A(0)) loss -= each * parts.all;
  if (with_gradient)
    cross_entropy_gradient(along, logits, mine.count,
                           cross_entropy_slope_of(high, parts.total, vocabulary, smoothing, gradient_scale), label);
  return loss;
}

/// The same for a row whose whole vocabulary is here.
/// Shapes  logits: [vocabulary]
template <lanes L, class T, class A = accumulator_t<T>>
[[nodiscard]] MPX_HOST_DEVICE MPX_INLINE A cross_entropy_row(L const& along, T* logits, std::int32_t target,
                                                             std::size_t vocabulary, A smoothing, A gradient_scale,
                                                             bool with_gradient) {
  id_slice const all{0, vocabulary};
  A const high = target < 0 ? A(0) : along.max(vocabulary, [=](std::size_t c) { return A(logits[c]); });
  T const* const read = logits;
  auto const parts = cross_entropy_sums_row(along, read, high, target, all, smoothing > A(0));
  return cross_entropy_slice_row(along, logits, high, parts, target, vocabulary, all, smoothing, gradient_scale, with_gradient);
}

}  // namespace mpx::kernels
