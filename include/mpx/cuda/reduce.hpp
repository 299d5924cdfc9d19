/// @file
/// Body of a collective: buffers of several ranks become their sum, or the largest of each place.
#pragma once

#include <cstddef>

#include <mpx/backend/operations.hpp>
#include <mpx/config/config.hpp>
#include <mpx/core/dtype.hpp>
#include <mpx/cuda/block.hpp>

namespace mpx::on_cuda {

/// The parts' elements combined, ((p0 p1) p2) p3, or (p0 p1) (p2 p3), or the largest: written to every part, or to `slice`
/// alone where there is one.
/// Shapes  parts: [count] buffers; elements begin to begin + n of each; slice: [n], which may lie in a part at `begin`
/// Types   every result in accumulator_t<T>, rounded once
/// Launch  one block for each 2048 elements
template <class T>
struct combine_parts {
  static constexpr std::size_t most_parts = 64;
  T* parts[most_parts];
  T* slice;
  std::size_t count, begin, n;
  combining how;

  [[nodiscard]] launch_size size() const { return per_run(n); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    auto const run = run_of(block.index(), n);
    block_lanes(block).each(run.count, [this, first = run.begin](std::size_t i) {
      T const whole = T(combined(begin + first + i));
      if (slice != nullptr) slice[first + i] = whole;
      else
        for (std::size_t p = 0; p < count; ++p) parts[p][begin + first + i] = whole;
    });
  }

 private:
  using A = accumulator_t<T>;
  [[nodiscard]] MPX_HOST_DEVICE A combined(std::size_t i) const {
    if (how == combining::sum_in_pairs) return in_pairs(i);
    A whole = A(parts[0][i]);
    for (std::size_t p = 1; p < count; ++p) {
      A const next = A(parts[p][i]);
      whole = how == combining::sum ? whole + next : next > whole ? next : whole;
    }
    return whole;
  }
  /// Sums that have no equal partner yet wait, like the digits of a binary counter.
  [[nodiscard]] MPX_HOST_DEVICE A in_pairs(std::size_t i) const {
    A waiting[8];
    std::size_t used = 0;
    for (std::size_t p = 0; p < count; ++p) {
      waiting[used++] = A(parts[p][i]);
      for (std::size_t carry = p; used > 1 && (carry % 2 == 1 || p + 1 == count); carry /= 2, --used)
        waiting[used - 2] = waiting[used - 2] + waiting[used - 1];
    }
    return waiting[0];
  }
};

}  // namespace mpx::on_cuda
