/// @file
/// Random numbers that depend on what they are for, never on when or where they are drawn.
#pragma once

#include <array>
#include <cstdint>

#include <mpx/config/config.hpp>

namespace mpx {

using random_counter = std::array<std::uint32_t, 4>;

/// Philox 4x32 with 10 rounds: four random words for a counter and a key.
/// Source  Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"
[[nodiscard]] MPX_HOST_DEVICE constexpr random_counter philox(random_counter counter, std::uint64_t key) {
  auto k0 = static_cast<std::uint32_t>(key);
  auto k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    std::uint64_t const a = std::uint64_t{0xd2511f53u} * counter[0];
    std::uint64_t const b = std::uint64_t{0xcd9e8d57u} * counter[2];
    counter = {static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ k0, static_cast<std::uint32_t>(b),
               static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ k1, static_cast<std::uint32_t>(a)};
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
  return counter;
}

/// One key from two, for example a seed and the hash of a layer's name (the finaliser of splitmix64).
[[nodiscard]] constexpr std::uint64_t mixed_key(std::uint64_t a, std::uint64_t b) {
  std::uint64_t z = a * 0x9e3779b97f4a7c15ull + b + 0x632be59bd9b4e019ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

/// A random word as a number in (0, 1], 24 bits fine.
[[nodiscard]] MPX_HOST_DEVICE constexpr float uniform(std::uint32_t word) {
  return (static_cast<float>(word >> 8) + 0.5f) * 0x1p-24f;
}

}  // namespace mpx
