/// @file
/// A layer as numbers: one row of the table that plans and placement policies read.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <mpx/core/extent.hpp>
#include <mpx/core/fixed_string.hpp>

namespace mpx {

/// "encoder.layers.3": a path and, where several layers share it, an index. Kept in two parts, so that a table of a
/// hundred layers costs no text at compile time.
struct layer_name {
  std::string_view path;
  int index = -1;  ///< -1: the path alone is the name

  /// Is this the layer's full name?
  [[nodiscard]] constexpr bool is(std::string_view other) const {
    if (!other.starts_with(path)) return false;
    other.remove_prefix(path.size());
    if (index < 0) return other.empty();
    if (other.size() < 2 || other[0] != '.') return false;
    return other.substr(1) == std::string_view{digits().text.data(), digits().size};
  }

  /// Is `group` this layer, or a section or repeat that holds it?
  [[nodiscard]] constexpr bool within(std::string_view group) const {
    return is(group) || (path.starts_with(group) && (path.size() == group.size() || group.empty() || path[group.size()] == '.'));
  }

  [[nodiscard]] std::string text() const {
    return index < 0 ? std::string(path) : std::string(path) + '.' + std::to_string(index);
  }

  /// FNV-1a of the full name, without building it.
  [[nodiscard]] constexpr unsigned long long hash() const {
    unsigned long long const start = name_hash(path);
    if (index < 0) return start;
    auto const number = digits();
    return name_hash({number.text.data(), number.size}, name_hash(".", start));
  }

  struct decimal {
    std::array<char, 12> text{};
    std::size_t size = 0;
  };
  [[nodiscard]] constexpr decimal digits() const {
    decimal out;
    std::array<char, 12> reversed{};
    std::size_t n = 0;
    for (int rest = index; n == 0 || rest > 0; rest /= 10) reversed[n++] = static_cast<char>('0' + rest % 10);
    while (n > 0) out.text[out.size++] = reversed[--n];
    return out;
  }

  friend constexpr bool operator==(layer_name const&, layer_name const&) = default;
};

/// A stream or feed as numbers.
struct stream_info {
  std::string_view label;
  std::size_t width = 0;  ///< of the whole mesh
  axis on = axis::target;
  spread over_tensor = spread::invariant;
  std::size_t parts = 1;

  [[nodiscard]] constexpr bool exists() const { return !label.empty(); }
  /// Elements of tensor rank r, without alignment.
  [[nodiscard]] constexpr std::size_t elements(extents const& e, std::size_t r) const {
    return e.rows_of(on, over_tensor, r).count * e.share(width, over_tensor);
  }
  /// Elements of the rank with most rows.
  [[nodiscard]] constexpr std::size_t most_elements(extents const& e) const {
    return e.most_rows(on, over_tensor) * e.share(width, over_tensor);
  }
  [[nodiscard]] constexpr std::size_t bytes(extents const& e, element_sizes s) const {
    return tensor_extent{on, width, element::compute, per::token, over_tensor}.bytes(e, s);
  }
  friend constexpr bool operator==(stream_info const&, stream_info const&) = default;
};

struct feed_info {
  std::string_view label;
  axis on = axis::target;
  std::size_t limit = 0;
  bool per_sequence = false;
  bool padded = false;

  [[nodiscard]] constexpr std::size_t bytes(extents const& e) const {
    return aligned(static_cast<std::size_t>(per_sequence ? e.sequences : e.rows(on)) * sizeof(std::int32_t));
  }
};

/// What is known of a layer before any data exists, at the recipe's microbatch capacity and precision.
struct layer_info {
  layer_name name;
  std::size_t segment = 0;  ///< layers of one segment have the same type
  std::size_t copy = 0;     ///< position within the segment
  std::size_t parameters = 0;          ///< trainable values of its own (a tied table counts where its owner is)
  std::size_t parameter_elements = 0;  ///< of one tensor rank, with tied copies and alignment: what memory holds
  std::size_t constant_elements = 0;
  /// Held for the whole run: weights, master, gradients, optimizer states, tables; a tied copy's as if no other holder were
  /// on its device.
  std::size_t state_bytes = 0;
  std::size_t saved_bytes = 0;  ///< what backward reads, for one microbatch
  std::size_t kept_bytes = 0;   ///< of these, what is kept from forward to backward: the input alone if recomputed
  std::size_t deferred_bytes = 0;  ///< what the later half of a backward reads besides, where it comes in two
  bool defers_gradient = false;    ///< and the gradient of the layer's output
  bool recomputed = false;
  std::size_t forward_scratch = 0;
  std::size_t backward_scratch = 0;
  double forward_flops = 0;  ///< for one microbatch, of one tensor rank
  std::size_t forward_sums = 0;   ///< bytes that a tensor rank brings to sums and gathers, for one microbatch
  std::size_t backward_sums = 0;  ///< likewise
  std::size_t partial_gradients = 0;  ///< elements of gradients of which each tensor rank knows a part
  std::size_t most_tokens = 0;  ///< longest sequence that its tables hold
  bool keeps_input = false;
  bool in_place = false;
  bool reads_output = false;  ///< and nothing inside it keeps that
  bool gradient_replaces_input = false;
  stream_info takes, gives;
  std::array<stream_info, 4> reads{};
  std::array<feed_info, 4> feeds{};
};

}  // namespace mpx
