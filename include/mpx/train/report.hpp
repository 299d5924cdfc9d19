/// @file
/// What a step gave.
#pragma once

#include <cstddef>
#include <cstdio>
#include <ostream>

namespace mpx {

struct step_report {
  long step = 0;  ///< optimizer steps done, this one included unless it was skipped
  double loss = 0;  ///< mean over target tokens, in nats
  std::size_t tokens = 0;
  float gradient_norm = 0;  ///< of all devices together, unscaled, before clipping
  float learning_rate = 0;
  float loss_scale = 1;
  bool skipped = false;  ///< a loss or gradient was not finite; no parameter changed
  double seconds = 0;

  [[nodiscard]] double tokens_per_second() const { return seconds > 0 ? static_cast<double>(tokens) / seconds : 0; }
};

inline std::ostream& operator<<(std::ostream& out, step_report const& r) {
  char text[160];
  std::snprintf(text, sizeof text, "step %ld  loss %.4f  norm %.3f  lr %.2e  %.0f tokens/s%s", r.step, r.loss,
                static_cast<double>(r.gradient_norm), static_cast<double>(r.learning_rate), r.tokens_per_second(),
                r.skipped ? "  skipped: not finite" : "");
  return out << text;
}

}  // namespace mpx
