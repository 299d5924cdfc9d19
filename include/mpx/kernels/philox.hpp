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

/// A counter on its way, a word in each: the low halves count, what stands above them is ignored. All is 64 bits wide, as
/// the products are, so that a vectorised loop never moves words between lanes of two widths.
struct wide_words {
  std::uint64_t a, b, c, d;
};

/// One round, with the key that this round uses.
MPX_HOST_DEVICE MPX_INLINE constexpr wide_words philox_round(wide_words w, std::uint32_t k0, std::uint32_t k1) {
  std::uint64_t const left = (w.a & 0xffffffffu) * 0xd2511f53u;
  std::uint64_t const right = (w.c & 0xffffffffu) * 0xcd9e8d57u;
  return {(right >> 32) ^ w.b ^ k0, right, (left >> 32) ^ w.d ^ k1, left};
}

/// The rounds that are left, as a recursion: no loop remains for the vectoriser to trip over.
template <int Left>
MPX_HOST_DEVICE MPX_INLINE constexpr wide_words philox_rounds(wide_words w, std::uint32_t k0, std::uint32_t k1) {
  if constexpr (Left == 0) {
    return w;
  } else {
    return philox_rounds<Left - 1>(philox_round(w, k0, k1), k0 + 0x9e3779b9u, k1 + 0xbb67ae85u);
  }
}

}  // namespace detail

/// The same words as mpx::philox.
MPX_HOST_DEVICE MPX_INLINE constexpr random_words philox_words(random_words counter, std::uint64_t key) {
  detail::wide_words const w = detail::philox_rounds<10>({counter.a, counter.b, counter.c, counter.d},
                                                         static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32));
  return {static_cast<std::uint32_t>(w.a), static_cast<std::uint32_t>(w.b), static_cast<std::uint32_t>(w.c),
          static_cast<std::uint32_t>(w.d)};
}

}  // namespace mpx::kernels
