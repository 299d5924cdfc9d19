/// @file
/// The order of samples in an epoch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <mpx/core/fixed_string.hpp>
#include <mpx/core/random.hpp>

namespace mpx {

namespace detail {

/// A number below `limit`, which is at most 2^32, from one random word. No value is more likely than another by
/// more than limit / 2^32.
[[nodiscard]] constexpr std::size_t below(std::size_t limit, std::uint32_t word) {
  return static_cast<std::size_t>((std::uint64_t{word} * limit) >> 32);
}

}  // namespace detail

/// 0 to count - 1 in an order that depends on nothing but the arguments.
/// Source  Knuth 1997, "The Art of Computer Programming" 2, section 3.4.2, algorithm P
[[nodiscard]] inline std::vector<std::size_t> shuffled(std::size_t count, std::uint64_t seed, std::uint64_t epoch) {
  std::vector<std::size_t> order(count);
  for (std::size_t i = 0; i < count; ++i) order[i] = i;
  std::uint64_t const key = mixed_key(mixed_key(seed, epoch), name_hash("shuffle"));
  for (std::size_t i = count; i > 1; --i) {
    auto const word = philox({static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(i >> 32), 0, 0}, key)[0];
    std::swap(order[i - 1], order[detail::below(i, word)]);
  }
  return order;
}

}  // namespace mpx
