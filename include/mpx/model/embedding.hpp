/// @file
/// Token ids to vectors, and where in the sequence they stand.
#pragma once

#include <cstddef>

#include <mpx/model/layer.hpp>

namespace mpx {

namespace detail {

template <class Table>
struct table_layout {
  static_assert(std::is_same_v<Table, sharded_outputs>,
                "mpx::token_embedding requires its table to be mpx::sharded_outputs: each tensor rank has a slice of the "
                "vocabulary");
};

}  // namespace detail

/// y = table[id] * sqrt(C) when `Scaled`, else table[id]. The table may be another one's (tied_parameter); each tensor
/// rank holds a slice of the vocabulary.
/// Shapes  ids: [B, T] from the feed, y: [B, T, C], table: [V, C]
/// Source  Vaswani et al. 2017, arXiv:1706.03762, section 3.4 (the factor)
template <std::size_t V, std::size_t C, fixed_string Feed, axis Axis = axis::target, bool Scaled = false,
          class Init = init::normal<20>, class Table = parameter<"weight", shape<V, C>, Init, sharded_outputs>>
struct token_embedding : layer_defaults {
  static constexpr std::size_t vocabulary = V;
  static constexpr std::size_t width = C;
  static constexpr bool scaled = Scaled;
  static constexpr axis on = Axis;
  using row_label = name<"embedding">;
  using feed_label = name<Feed>;
  using takes = message<>;
  using gives = message<stream<"x", C, Axis>>;
  using feeds = message<feed<Feed, Axis, V>>;
  using parameters = boost::hana::tuple<Table>;
  static constexpr std::array<tensor_extent, 1> forward_sums{summed_over_ranks(Axis, C)};
  using checked = decltype(verdict_on<detail::table_layout<typename Table::over>>());
};

/// y[t] = x[t] + table[t], the table trained.
/// Shapes  x, y: [B, T, C], table: [Context, C]; T is at most Context
template <std::size_t Context, std::size_t C, axis Axis = axis::target>
struct learned_positions : layer_defaults {
  static constexpr std::size_t most_tokens = Context;
  static constexpr std::size_t width = C;
  static constexpr axis on = Axis;
  using row_label = name<"positions">;
  using takes = message<stream<"x", C, Axis>>;
  using gives = takes;
  using parameters = boost::hana::tuple<parameter<"weight", shape<Context, C>, init::normal<20>>>;
  static constexpr bool in_place = true;
};

namespace detail {

template <std::size_t C>
struct even_width {
  static_assert(C % 2 == 0, "mpx::sinusoidal_positions requires its width to be even");
};

}  // namespace detail

/// y[t] = x[t] + table[t], with table[t, 2i] = sin(t / 10000^(2i/C)) and table[t, 2i+1] = cos of the same.
/// Shapes  x, y: [B, T, C], table: [Context, C]; T is at most Context
/// Source  Vaswani et al. 2017, arXiv:1706.03762, section 3.5
template <std::size_t Context, std::size_t C, axis Axis = axis::target>
struct sinusoidal_positions : layer_defaults {
  static constexpr std::size_t most_tokens = Context;
  static constexpr std::size_t width = C;
  static constexpr axis on = Axis;
  using row_label = name<"positions">;
  using takes = message<stream<"x", C, Axis>>;
  using gives = takes;
  using parameters = boost::hana::tuple<>;
  static constexpr bool in_place = true;
  static constexpr std::size_t constants = Context * C;
  using checked = decltype(verdict_on<detail::even_width<C>>());
};

}  // namespace mpx
