/// @file
/// The learning rate as a pure function of the step.
///
/// Steps are counted from 1: the first update already has a rate, and it is never 0. `peak` is the top rate, `warmup`
/// the step at which it is reached. Rates are worked out in f64 and rounded once, so that every process gets the same.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <numbers>
#include <string>

#include <mpx/core/diagnostic.hpp>
#include <mpx/core/error.hpp>

namespace mpx {

/// Gives the learning rate of a step, counted from 1, without remembering earlier steps.
template <class T>
concept lr_schedule =
    requires(T const policy, long step) {
      { policy.rate(step) } -> std::same_as<float>;
    } ||
    unsatisfied<"an lr schedule offers `float rate(long step) const`, where step 1 is the first", T>();

namespace detail {

/// 1 / warmup at step 1, 1 at step `warmup` and after it. No warmup (0) is 1 everywhere.
[[nodiscard]] constexpr double warmed_up(long step, long warmup) noexcept {
  return step >= warmup ? 1.0 : static_cast<double>(step) / static_cast<double>(warmup);
}

/// 0 up to step `from`, 1 from step `to` on, straight between them.
[[nodiscard]] constexpr double progress(long step, long from, long to) noexcept {
  if (step >= to) return 1.0;
  if (step <= from) return 0.0;
  return static_cast<double>(step - from) / static_cast<double>(to - from);
}

}  // namespace detail

/// The same rate at every step.
struct constant_rate {
  float peak = 1e-3f;

  [[nodiscard]] constexpr float rate(long) const noexcept { return peak; }
};

/// Up to `peak` in a straight line, then down to `floor` at step `total` in another; `floor` after it.
/// Units   peak, floor: rates; warmup, total: steps
/// Source  Devlin et al. 2018, arXiv:1810.04805, appendix A.2
struct warmup_linear {
  float peak = 6e-4f;
  long warmup = 2000;
  long total = 100'000;
  float floor = 0.0f;

  [[nodiscard]] constexpr float rate(long step) const noexcept {
    double const top = peak;
    if (step <= warmup) return static_cast<float>(top * detail::warmed_up(step, warmup));
    double const left = 1.0 - detail::progress(step, warmup, total);
    return static_cast<float>(floor + (top - floor) * left);
  }
};

/// Up to `peak` in a straight line, then down to `floor` at step `total` along half a cosine; `floor` after it.
///   rate = floor + (peak - floor) * (1 + cos(pi * (step - warmup) / (total - warmup))) / 2
/// Units   peak, floor: rates; warmup, total: steps
/// Source  Loshchilov, Hutter 2016, arXiv:1608.03983, equation 5 (one cycle)
struct warmup_cosine {
  float peak = 6e-4f;
  long warmup = 2000;
  long total = 100'000;
  float floor = 0.0f;

  [[nodiscard]] float rate(long step) const noexcept {
    double const top = peak;
    if (step <= warmup) return static_cast<float>(top * detail::warmed_up(step, warmup));
    double const left = 0.5 * (1.0 + std::cos(std::numbers::pi * detail::progress(step, warmup, total)));
    return static_cast<float>(floor + (top - floor) * left);
  }
};

/// Up to `peak` in a straight line, then down as 1 / sqrt(step): no last step has to be known.
///   rate = peak * min(step / warmup, sqrt(warmup / step))
/// Units   peak: a rate; warmup: steps
/// Source  the shape of Vaswani et al. 2017, arXiv:1706.03762, equation 3, with its top named instead of its width
struct inverse_square_root {
  float peak = 6e-4f;
  long warmup = 4000;

  [[nodiscard]] float rate(long step) const noexcept {
    if (step <= warmup) return static_cast<float>(peak * detail::warmed_up(step, warmup));
    auto const top = static_cast<double>(std::max(warmup, 1L));  // no warmup: the peak is at step 1
    return static_cast<float>(peak * std::sqrt(top / static_cast<double>(step)));
  }
};

/// The original Transformer's schedule; its top is factor / sqrt(width * warmup), at step `warmup`.
///   rate = factor * width^-0.5 * min(step^-0.5, step * warmup^-1.5)
/// Units   warmup: steps; width: channels of the model, 0 where the trainer shall fill in its model's width
/// Errors  throws mpx::error when asked for a rate while width is still 0
/// Source  Vaswani et al. 2017, arXiv:1706.03762, equation 3; `factor` as in "The annotated transformer"
struct noam {
  float factor = 1.0f;
  long warmup = 4000;
  long width = 0;

  [[nodiscard]] float rate(long step) const {
    if (width <= 0) {
      throw error({.what = "the noam schedule needs the model's width",
                   .where = "noam::width",
                   .expected = "1 or more",
                   .got = std::to_string(width)});
    }
    auto const at = static_cast<double>(step);
    auto const top = static_cast<double>(std::max(warmup, 1L));  // no warmup: the top is at step 1
    double const shape = std::min(1.0 / std::sqrt(at), at / (top * std::sqrt(top)));
    return static_cast<float>(factor / std::sqrt(static_cast<double>(width)) * shape);
  }
};

/// Up to `peak`, level, and in the last `decay` steps before `total` down to `floor`, all in straight lines. Training
/// can go on from any level step with another `total`.
/// Units   peak, floor: rates; warmup, decay, total: steps
/// Source  Hu et al. 2024, "MiniCPM", arXiv:2404.06395, section 4; a straight decay is one of those that
///         Hägele et al. 2024, arXiv:2405.18392, compare
struct warmup_stable_decay {
  float peak = 6e-4f;
  long warmup = 2000;
  long decay = 10'000;
  long total = 100'000;
  float floor = 0.0f;

  [[nodiscard]] constexpr float rate(long step) const noexcept {
    double const top = peak;
    double const up = top * detail::warmed_up(step, warmup);
    double const down = floor + (top - floor) * (1.0 - detail::progress(step, total - decay, total));
    return static_cast<float>(std::min(up, down));
  }
};

}  // namespace mpx
