/// @file
/// What of a training run's state the data ranks divide among themselves.
#pragma once

#include <cstddef>

namespace mpx {

/// Data ranks divide a tensor between portions of so many elements, and squares are added up portion by portion, whoever
/// has which: a norm has the same bits however the state is divided.
inline constexpr std::size_t portion_elements = std::size_t{1} << 16;
[[nodiscard]] constexpr std::size_t portions_in(std::size_t elements) {
  return (elements + portion_elements - 1) / portion_elements;
}

/// Every data rank holds and updates all of its device's parameters (default).
struct replicate_optimizer {
  static constexpr bool divides_optimizer = false;
  static constexpr bool divides_gradients = false;
};

/// Each data rank updates a slice: it alone holds the optimizer's state of it, and, where layers read 16-bit weights, its
/// f32 master. Gradients are reduced into slices, and weights gathered from them. Not a bit differs from
/// replicate_optimizer; on one data rank nothing does.
/// Source  Rajbhandari, Rasley, Ruwase, He 2020, arXiv:1910.02054, section 5 (stage 1 of ZeRO)
struct shard_optimizer {
  static constexpr bool divides_optimizer = true;
  static constexpr bool divides_gradients = false;
};

/// Each data rank keeps the gradients of its slice alone, beside what shard_optimizer divides. A microbatch's gradients
/// stand in one of two buckets until they are reduced, so that they are reduced for every microbatch, and not once a step:
/// unless a rank has one microbatch, their sum is `sum_each_microbatch`, with which not a bit differs.
/// Source  Rajbhandari, Rasley, Ruwase, He 2020, arXiv:1910.02054, section 5 (stage 2 of ZeRO)
struct shard_gradients {
  static constexpr bool divides_optimizer = true;
  static constexpr bool divides_gradients = true;
};

}  // namespace mpx
