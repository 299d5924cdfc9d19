/// @file
/// How large a tensor is, as a value: rows come from the microbatch, widths from the model.
#pragma once

#include <array>
#include <cstddef>

#include <mpx/core/layout.hpp>
#include <mpx/core/units.hpp>

namespace mpx {

/// The token axis that a row belongs to. Decoder-only models use `target` alone.
enum class axis : unsigned char { source, target };

/// Columns of an attention head that every machine can handle.
inline constexpr std::size_t most_head_width = 256;

/// Rows of a tensor that one rank holds.
struct row_slice {
  std::size_t first = 0;
  std::size_t count = 0;

  friend constexpr bool operator==(row_slice const&, row_slice const&) = default;
};

/// Sequences and tokens of a microbatch (or of the largest one, as a capacity), how many tensor ranks share it, and how
/// they pass it.
struct extents {
  int sequences = 0;
  std::array<int, 2> tokens{};
  std::size_t ranks = 1;  ///< T of mesh<tensor<T>>: columns that are sharded are divided by it
  spread rows_over_tensor = spread::invariant;  ///< sharded_0: ranks divide the rows of what is whole otherwise
  bool splits_backward = false;  ///< gradients of weights come later than those of inputs, which need not wait for them

  [[nodiscard]] constexpr int tokens_on(axis a) const { return tokens[static_cast<std::size_t>(a)]; }
  [[nodiscard]] constexpr int rows(axis a) const { return sequences * tokens_on(a); }
  /// Where the slice of rank r begins, and that of the rank before it ends: slices differ by one row at most.
  [[nodiscard]] constexpr std::size_t slice_begin(axis a, std::size_t r) const {
    return static_cast<std::size_t>(rows(a)) * r / ranks;
  }
  /// Rows that rank r holds of a tensor that lies so by its description.
  [[nodiscard]] constexpr row_slice rows_of(axis a, spread over_tensor, std::size_t r) const {
    if (activation_spread(over_tensor, rows_over_tensor) != spread::sharded_0) return {0, static_cast<std::size_t>(rows(a))};
    return {slice_begin(a, r), slice_begin(a, r + 1) - slice_begin(a, r)};
  }
  /// Rows of the rank that holds most of them.
  [[nodiscard]] constexpr std::size_t most_rows(axis a, spread over_tensor) const {
    auto const all = static_cast<std::size_t>(rows(a));
    return activation_spread(over_tensor, rows_over_tensor) == spread::sharded_0 ? (all + ranks - 1) / ranks : all;
  }
  /// What one rank holds of `count` columns, outputs or heads. Partial sums exist where there are others to add.
  [[nodiscard]] constexpr std::size_t share(std::size_t count, spread over_tensor) const {
    if (over_tensor == spread::partial) return ranks > 1 ? count : 0;
    return sharded(over_tensor) ? count / ranks : count;
  }

  friend constexpr bool operator==(extents const&, extents const&) = default;
};

/// compute: what the arithmetic runs in; accumulate: f32 sums and statistics; i32: token ids and lengths.
enum class element : unsigned char { compute, accumulate, i32 };

struct element_sizes {
  std::size_t compute = 4;
  std::size_t accumulate = 4;

  [[nodiscard]] constexpr std::size_t of(element type) const {
    return type == element::compute ? compute : type == element::accumulate ? accumulate : 4;
  }
};

/// What a tensor has a row for.
enum class per : unsigned char { token, sequence, layer };

/// One tensor of a microbatch: [B, T, width], [B, width] per sequence, or [width] per layer.
struct tensor_extent {
  axis rows = axis::target;
  std::size_t width = 0;  ///< of the whole mesh
  element type = element::compute;
  per row = per::token;
  spread over_tensor = spread::invariant;  ///< sharded_1: each tensor rank holds a slice of the columns

  /// Units   bytes of the rank with most rows, rounded up to a cache line
  [[nodiscard]] constexpr std::size_t bytes(extents const& e, element_sizes sizes) const {
    return aligned(exact_bytes(e, sizes));
  }
  [[nodiscard]] constexpr std::size_t exact_bytes(extents const& e, element_sizes sizes) const {
    auto const count = row == per::token      ? e.most_rows(rows, over_tensor)
                       : row == per::sequence ? static_cast<std::size_t>(e.sequences)
                                              : 1;
    return count * e.share(width, over_tensor) * sizes.of(type);
  }
};

/// A tensor that is summed over the tensor ranks: nothing where there is one.
[[nodiscard]] constexpr tensor_extent summed_over_ranks(axis rows, std::size_t width, element type = element::compute) {
  return {rows, width, type, per::token, spread::partial};
}

/// A tensor whose columns are divided among the tensor ranks.
[[nodiscard]] constexpr tensor_extent split_columns(axis rows, std::size_t width, element type = element::compute) {
  return {rows, width, type, per::token, spread::sharded_1};
}

/// Such a tensor before it is divided by rows, or behind that: a whole stream's.
[[nodiscard]] constexpr tensor_extent as_stream(tensor_extent summed) {
  summed.over_tensor = spread::invariant;
  return summed;
}

/// Bytes of several tensors, without alignment: what a collective moves.
template <std::size_t N>
[[nodiscard]] constexpr std::size_t exact_bytes(std::array<tensor_extent, N> const& list, extents const& e,
                                                element_sizes sizes) {
  std::size_t sum = 0;
  for (auto const& one : list) sum += one.exact_bytes(e, sizes);
  return sum;
}

/// Bytes of several tensors, one after the other.
template <std::size_t N>
[[nodiscard]] constexpr std::size_t total_bytes(std::array<tensor_extent, N> const& list, extents const& e,
                                                element_sizes sizes) {
  std::size_t sum = 0;
  for (auto const& one : list) sum += one.bytes(e, sizes);
  return sum;
}

}  // namespace mpx
