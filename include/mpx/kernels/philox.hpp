/// @file
/// core/random.hpp's Philox for loops over many counters.
#pragma once

#include <cstdint>

#include <mpx/config/config.hpp>
#include <mpx/core/random.hpp>

namespace mpx::kernels {

/// Four words by name: compilers keep them in registers, where they leave an indexed array in memory and the loop
/// around it scalar.
struct random_words {
  std::uint32_t a, b, c, d;
};

namespace detail {

/// One round, with the key that this round uses.
MPX_HOST_DEVICE MPX_INLINE constexpr random_words philox_round(random_words w, std::uint32_t k0, std::uint32_t k1) {
  std::uint64_t const left = std::uint64_t{0xd2511f53u} * w.a;
  std::uint64_t const right = std::uint64_t{0xcd9e8d57u} * w.c;
  return {static_cast<std::uint32_t>(right >> 32) ^ w.b ^ k0, static_cast<std::uint32_t>(right),
          static_cast<std::uint32_t>(left >> 32) ^ w.d ^ k1, static_cast<std::uint32_t>(left)};
}

/// The rounds that are left, as a recursion: no loop remains for the vectoriser to trip over.
template <int Left>
MPX_HOST_DEVICE MPX_INLINE constexpr random_words philox_rounds(random_words w, std::uint32_t k0, std::uint32_t k1) {
  if constexpr (Left == 0) {
    return w;
  } else {
    return philox_rounds<Left - 1>(philox_round(w, k0, k1), k0 + 0x9e3779b9u, k1 + 0xbb67ae85u);
  }
}

}  // namespace detail

/// The same words as mpx::philox.
MPX_HOST_DEVICE MPX_INLINE constexpr random_words philox_words(random_words counter, std::uint64_t key) {
  return detail::philox_rounds<10>(counter, static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32));
}

}  // namespace mpx::kernels
