/// @file
/// A batch split into microbatches.
#pragma once

#include <cstddef>

#include <mpx/core/extent.hpp>
#include <mpx/tensor/batch.hpp>

namespace mpx {

/// A run of a batch's sequences.
struct microbatch {
  extents size;
  int first_sequence = 0;
};

/// The m-th of `count` nearly equal parts, as each of `tensor_ranks` works on it, which divide rows or not; it is empty when
/// there are more parts than sequences.
[[nodiscard]] inline microbatch split(extents const& batch, int m, int count, std::size_t tensor_ranks = 1,
                                      spread rows_over_tensor = spread::invariant) {
  int const begin = batch.sequences * m / count;
  int const end = batch.sequences * (m + 1) / count;
  return {{end - begin, batch.tokens, tensor_ranks, rows_over_tensor}, begin};
}

}  // namespace mpx
