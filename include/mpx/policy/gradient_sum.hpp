/// @file
/// In which order the gradients of microbatches are added up.
#pragma once

#include <bit>
#include <cstddef>

namespace mpx {

/// Microbatch after microbatch on each data rank, then the ranks in their order (default): one copy of the gradients.
/// Another number of data ranks adds in other groups, and so rounds otherwise.
struct sum_in_order {
  static constexpr bool sums_in_a_tree = false;
  static constexpr bool sums_each_microbatch = false;
};

/// The data ranks in their order for each rank's first microbatch, then for its second, and so on (default with
/// shard_gradients). Gradients travel for every microbatch; a rank that keeps all of them has one more copy.
struct sum_each_microbatch {
  static constexpr bool sums_in_a_tree = false;
  static constexpr bool sums_each_microbatch = true;
};

/// In pairs, pairs of pairs and so on, by the index of the microbatch in the whole batch: the parameters are the same bits
/// for every number of data ranks that share the same microbatches. Costs one more copy of the gradients for each doubling
/// of a rank's microbatches, which must be a power of two.
struct canonical_sum {
  static constexpr bool sums_in_a_tree = true;
  static constexpr bool sums_each_microbatch = false;
};

/// Copies of the gradients that wait while the next microbatch is added up, beside the one under way.
template <class GradientSum>
[[nodiscard]] constexpr std::size_t waiting_sums(std::size_t microbatches) {
  return GradientSum::sums_in_a_tree ? static_cast<std::size_t>(std::bit_width(microbatches)) - 1 : 0;
}

}  // namespace mpx
