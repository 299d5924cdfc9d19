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

/// What a word is kept in from round to round. Where vectors multiply 64 bits at once it is as wide as the products, and a
/// loop never moves words between lanes of two widths; its upper half is then ignored.
#if defined(__AVX512DQ__)
using round_word = std::uint64_t;
#else
using round_word = std::uint32_t;
#endif
struct round_words {
  round_word a, b, c, d;
};

/// One round, with the key that this round uses.
MPX_HOST_DEVICE MPX_INLINE constexpr round_words philox_round(round_words w, std::uint32_t k0, std::uint32_t k1) {
  std::uint64_t const left = std::uint64_t{0xd2511f53u} * (w.a & 0xffffffffu);
  std::uint64_t const right = std::uint64_t{0xcd9e8d57u} * (w.c & 0xffffffffu);
  return {static_cast<round_word>(right >> 32) ^ w.b ^ k0, static_cast<round_word>(right),
          static_cast<round_word>(left >> 32) ^ w.d ^ k1, static_cast<round_word>(left)};
}

/// The rounds that are left, as a recursion: no loop remains for the vectoriser to trip over.
template <int Left>
MPX_HOST_DEVICE MPX_INLINE constexpr round_words philox_rounds(round_words w, std::uint32_t k0, std::uint32_t k1) {
  if constexpr (Left == 0) {
    return w;
  } else {
    return philox_rounds<Left - 1>(philox_round(w, k0, k1), k0 + 0x9e3779b9u, k1 + 0xbb67ae85u);
  }
}

}  // namespace detail

/// The same words as mpx::philox.
MPX_HOST_DEVICE MPX_INLINE constexpr random_words philox_words(random_words counter, std::uint64_t key) {
  detail::round_words const w = detail::philox_rounds<10>({counter.a, counter.b, counter.c, counter.d},
                                                          static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32));
  return {static_cast<std::uint32_t>(w.a), static_cast<std::uint32_t>(w.b), static_cast<std::uint32_t>(w.c),
          static_cast<std::uint32_t>(w.d)};
}

}  // namespace mpx::kernels
