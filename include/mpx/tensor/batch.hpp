/// @file
/// What a data loader hands to the trainer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <mpx/core/extent.hpp>

namespace mpx {

/// Sequences of equal, padded length, as named columns.
/// Shapes  a per-token column: [sequences, tokens on its axis], row-major; a per-sequence column: [sequences]
struct batch {
  struct column {
    std::string label;
    axis on = axis::target;
    bool per_sequence = false;
    std::vector<std::int32_t> values;
  };

  extents size;
  std::vector<column> columns;
  std::string origin;  ///< where the samples came from, for error messages: "pairs.tsv"

  [[nodiscard]] column const* find(std::string_view label) const {
    for (auto const& one : columns)
      if (one.label == label) return &one;
    return nullptr;
  }
};

}  // namespace mpx
