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
  std::size_t begin = 0, end = 0;              ///< elements from the stage's first gradient

  [[nodiscard]] constexpr std::size_t size() const { return end - begin; }
};

/// Calls f(gradient_bucket) for the buckets of a stage, last layers first. Together they are all of its gradients.
/// A layer that shares its weights stands in one of its own, as its gradient stands apart from its neighbours'.
/// Units   least: elements; a bucket has as many, unless no neighbours are left
template <class Place, std::size_t N, class F>
constexpr void each_bucket(stage_info const& stage, std::array<Place, N> const& places, std::array<layer_info, N> const& layers,
                           std::size_t least, F f) {
  gradient_bucket next{stage.end, stage.end, stage.weight_elements, stage.weight_elements};
  for (std::size_t r = stage.end; r-- > stage.first;) {
    if (places[r].shares_weights) {
      if (next.size() > 0) f(next);
      std::size_t const begin = places[r].parameter_offset;
      f(gradient_bucket{r, r + 1, begin, begin + layers[r].parameter_elements});
      next = {r, r, next.begin, next.begin};
      continue;
    }
    next.first_layer = r;
    next.begin -= layers[r].parameter_elements;
    if (next.size() == 0 || (next.size() < least && next.begin > 0)) continue;
    f(next);
    next = {r, r, next.begin, next.begin};
  }
}

}  // namespace mpx
