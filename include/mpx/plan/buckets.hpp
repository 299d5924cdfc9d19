/// @file
/// Which of a stage's gradients travel over the data ranks together.
#pragma once

#include <array>
#include <cstddef>

#include <mpx/plan/memory.hpp>

namespace mpx {

/// The gradients of neighbouring layers of a stage, which are whole when backward has finished with the first of them.
struct gradient_bucket {
  std::size_t first_layer = 0, end_layer = 0;  ///< rows of the model
  std::size_t begin = 0, end = 0;              ///< elements from the stage's first parameter

  [[nodiscard]] constexpr std::size_t size() const { return end - begin; }
};

/// Calls f(gradient_bucket) for the buckets of a stage, last layers first. Together they are all of its gradients.
/// Units   least: elements; a bucket has as many, unless it is the last one
template <std::size_t N, class F>
constexpr void each_bucket(stage_info const& stage, std::array<layer_info, N> const& layers, std::size_t least, F f) {
  std::size_t begin = 0;
  for (std::size_t r = stage.first; r < stage.end; ++r) begin += layers[r].parameter_elements;
  gradient_bucket next{stage.end, stage.end, begin, begin};
  for (std::size_t r = stage.end; r-- > stage.first;) {
    next.first_layer = r;
    next.begin -= layers[r].parameter_elements;
    if (next.size() == 0 || (next.size() < least && next.begin > 0)) continue;
    f(next);
    next = {r, r, next.begin, next.begin};
  }
}

}  // namespace mpx
