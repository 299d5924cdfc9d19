/// @file
/// What crosses from layer to layer: named streams.
#pragma once

#include <cstddef>

#include <mpx/core/extent.hpp>
#include <mpx/core/fixed_string.hpp>
#include <mpx/core/layout.hpp>

namespace mpx {

/// A named activation that later layers can read.
/// Shapes  [B, T, Width] on the whole mesh, T counted on `Axis`. With sharded_1 each tensor rank holds a slice of the
///         columns; those of several parts, such as gates and values, are divided part by part
template <fixed_string Name, std::size_t Width, axis Axis = axis::target, spread OverTensor = spread::invariant,
          std::size_t Parts = 1>
struct stream {
  static_assert(OverTensor == spread::invariant || OverTensor == spread::sharded_1,
                "mpx::stream requires its spread over tensor ranks to be invariant or sharded_1: a partial sum is reduced "
                "before it leaves its layer");
  using label = name<Name>;
  static constexpr std::size_t width = Width;
  static constexpr axis on = Axis;
  static constexpr spread over_tensor = OverTensor;
  static constexpr std::size_t parts = Parts;
};

/// An input that the data loader sends straight to each device that reads it.
/// Shapes  [B, T] token ids below `Limit`, T counted on `Axis`; or [B] lengths when `PerSequence`
template <fixed_string Name, axis Axis, std::size_t Limit = 0, bool PerSequence = false, bool Padded = false>
struct feed {
  using label = name<Name>;
  static constexpr axis on = Axis;
  static constexpr std::size_t limit = Limit;  ///< 0: any value
  static constexpr bool per_sequence = PerSequence;
  static constexpr bool padded = Padded;  ///< negative values are allowed and mean padding
};

/// A set of streams or feeds.
template <class... Streams>
struct message {
  static constexpr std::size_t size = sizeof...(Streams);
};

namespace detail {

template <class... Messages>
struct merged_message;
template <>
struct merged_message<> {
  using type = message<>;
};
template <class... A>
struct merged_message<message<A...>> {
  using type = message<A...>;
};
template <class... A, class... B, class... Rest>
struct merged_message<message<A...>, message<B...>, Rest...> : merged_message<message<A..., B...>, Rest...> {};

template <class Message>
struct only_stream {
  using type = void;  // nothing crosses here
};
template <class Stream>
struct only_stream<message<Stream>> {
  using type = Stream;
};

}  // namespace detail

/// The one stream of a message, or void.
template <class Message>
using only_stream_t = typename detail::only_stream<Message>::type;

}  // namespace mpx
