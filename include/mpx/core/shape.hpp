/// @file
/// Compile-time extents of a parameter.
#pragma once

#include <array>
#include <cstddef>

namespace mpx {

/// Extents of a tensor, outermost axis first; the last axis is contiguous.
/// Units   elements, never bytes
template <std::size_t... Extents>
struct shape {
  static constexpr std::size_t rank = sizeof...(Extents);
  static constexpr std::size_t size = (Extents * ... * 1);
  static constexpr std::array<std::size_t, rank> extents{Extents...};
};

}  // namespace mpx
