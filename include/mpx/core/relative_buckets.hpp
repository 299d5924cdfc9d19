/// @file
/// Distances between tokens in buckets: near ones alone, far ones together.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <mpx/config/config.hpp>

namespace mpx {

namespace detail {

/// A whole number of at most 512 bits: what powers of distances need.
struct large_number {
  std::uint32_t digits[16] = {};  ///< the lowest first
  std::size_t used = 1;           ///< those behind are 0

  /// a^m b^n
  static constexpr large_number product(std::uint32_t a, std::size_t m, std::uint32_t b, std::size_t n) {
    large_number one;
    one.digits[0] = 1;
    for (std::size_t i = 0; i < m; ++i) one.multiply(a);
    for (std::size_t i = 0; i < n; ++i) one.multiply(b);
    return one;
  }
  constexpr void multiply(std::uint32_t by) {
    std::uint64_t carry = 0;
    for (std::size_t i = 0; i < used; ++i) {
      carry += std::uint64_t{digits[i]} * by;
      digits[i] = static_cast<std::uint32_t>(carry);
      carry >>= 32;
    }
    if (carry > 0) digits[used++] = static_cast<std::uint32_t>(carry);
  }
  friend constexpr bool operator<(large_number const& a, large_number const& b) {
    for (std::size_t i = 16; i-- > 0;)
      if (a.digits[i] != b.digits[i]) return a.digits[i] < b.digits[i];
    return false;
  }
};

}  // namespace detail

/// Which of `buckets` the distance from a query to a key falls into. Bidirectional: those of keys behind the query come
/// after those of keys before it; else every later key is in bucket 0. Of the n buckets of one direction the first
/// e = n / 2 hold one distance each; distance t >= e is in bucket
///   e + floor((n - e) log(t / e) / log(most_distance / e)), at most n - 1
/// in whole numbers, since t is in bucket e + j or later when t^(n-e) >= most_distance^j e^(n-e-j): no logarithm is
/// rounded, and every compiler gives the same.
/// Source  Raffel et al. 2019, arXiv:1910.10683, section 2.1
class relative_buckets {
 public:
  static constexpr std::size_t most_buckets = 64;
  static constexpr std::size_t farthest = 65535;

  /// No buckets: attention without this bias.
  constexpr relative_buckets() = default;
  /// `buckets` is even, and from 4 to most_buckets; most_distance is above half of it, and at most `farthest`.
  constexpr relative_buckets(std::size_t buckets, std::size_t most_distance, bool bidirectional)
      : one_way_(static_cast<std::uint32_t>(bidirectional ? buckets / 2 : buckets)), bidirectional_(bidirectional) {
    std::uint32_t const exact = one_way_ / 2, most = static_cast<std::uint32_t>(most_distance);
    std::size_t const above = one_way_ - exact;
    for (std::uint32_t b = 0; b <= exact; ++b) first_[b] = b;
    for (std::size_t j = 1; j < above; ++j) {
      auto const bound = detail::large_number::product(most, j, exact, above - j);
      auto const reaches = [&](std::uint32_t t) { return !(detail::large_number::product(t, above, 1, 0) < bound); };
      std::uint32_t low = first_[exact + j - 1], high = low;  // the first distance that does is in [low, high]
      while (high < most && !reaches(high)) {
        low = high + 1;
        high = 2 * high < most ? 2 * high : most;
      }
      while (low < high) {
        std::uint32_t const middle = low + (high - low) / 2;
        if (reaches(middle)) high = middle;
        else low = middle + 1;
      }
      first_[exact + j] = low;
    }
  }

  [[nodiscard]] MPX_HOST_DEVICE constexpr std::size_t count() const { return bidirectional_ ? 2 * one_way_ : one_way_; }

  /// The bucket of a key that stands `key_minus_query` tokens behind its query.
  [[nodiscard]] MPX_HOST_DEVICE constexpr std::size_t operator()(std::int64_t key_minus_query) const {
    bool const later = key_minus_query > 0;
    if (later && !bidirectional_) return 0;
    std::int64_t const distance = later ? key_minus_query : -key_minus_query;
    std::size_t const offset = later ? one_way_ : 0;
    if (distance <= one_way_ / 2) return offset + static_cast<std::size_t>(distance);
    std::size_t bucket = one_way_ / 2;
    while (bucket + 1 < one_way_ && distance >= first_[bucket + 1]) ++bucket;
    return offset + bucket;
  }

 private:
  std::array<std::uint32_t, most_buckets> first_{};  ///< smallest distance of each bucket of one direction
  std::uint32_t one_way_ = 0;
  bool bidirectional_ = false;
};

}  // namespace mpx
