/// @file
/// Bytes that do not mix with other numbers.
#pragma once

#include <compare>
#include <cstddef>

namespace mpx {

/// A number of bytes. Converts to nothing by itself; `.count` is the number.
struct bytes {
  std::size_t count = 0;

  friend constexpr auto operator<=>(bytes, bytes) = default;
  friend constexpr bytes operator+(bytes a, bytes b) { return {a.count + b.count}; }
  friend constexpr bytes operator-(bytes a, bytes b) { return {a.count - b.count}; }
  friend constexpr bytes operator*(bytes a, std::size_t times) { return {a.count * times}; }
  constexpr bytes& operator+=(bytes other) {
    count += other.count;
    return *this;
  }
};

/// Every tensor begins on a cache line, so that no two of them share one.
inline constexpr std::size_t alignment = 64;

[[nodiscard]] constexpr std::size_t aligned(std::size_t count, std::size_t to = alignment) { return (count + to - 1) / to * to; }

namespace literals {

consteval bytes operator""_B(unsigned long long n) { return {n}; }
consteval bytes operator""_KiB(unsigned long long n) { return {n << 10}; }
consteval bytes operator""_MiB(unsigned long long n) { return {n << 20}; }
consteval bytes operator""_GiB(unsigned long long n) { return {n << 30}; }

}  // namespace literals

}  // namespace mpx
