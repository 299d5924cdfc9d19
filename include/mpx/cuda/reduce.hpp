/// @file
/// Body of a collective: buffers of several ranks become their sum, or the largest of each place.
#pragma once

#include <cstddef>

#include <mpx/backend/operations.hpp>
#include <mpx/config/config.hpp>
#include <mpx/core/dtype.hpp>
#include <mpx/cuda/block.hpp>
#include <mpx/cuda/vector_access.hpp>

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
    std::size_t lead = slice != nullptr ? lead_of<together>(run.count, slice + run.begin, parts[0] + begin + run.begin)
                                        : lead_of<together>(run.count, parts[0] + begin + run.begin);
    for (std::size_t p = 1; p < count; ++p)
      if (lead_of<together>(run.count, parts[p] + begin + run.begin) != lead) lead = run.count;
    each_adjacent<together>(block, run.count, lead, [&](auto number, std::size_t i) {
      std::size_t const first = run.begin + i;
      auto const all = combined<number()>(block, begin + first);
      adjacent<T, number()> whole;
      thread_lanes{}.each(number(), [&](std::size_t e) { whole.at[e] = T(all.at[e]); });
      if (slice != nullptr) store(block, slice + first, whole);
      else
        for (std::size_t p = 0; p < count; ++p) store(block, parts[p] + begin + first, whole);
    });
  }

 private:
  using A = accumulator_t<T>;
  static constexpr unsigned together = 16 / sizeof(T);

  template <unsigned N, class Block>
  [[nodiscard]] MPX_HOST_DEVICE MPX_INLINE adjacent<A, N> of_part(Block const& block, std::size_t p, std::size_t i) const {
    auto const some = load<N>(block, parts[p] + i);
    adjacent<A, N> all;
    thread_lanes{}.each(N, [&](std::size_t e) { all.at[e] = A(some.at[e]); });
    return all;
  }
  template <unsigned N, class Combine>
  static MPX_HOST_DEVICE MPX_INLINE void combine(adjacent<A, N>& whole, adjacent<A, N> const& next, Combine how) {
    thread_lanes{}.each(N, [&](std::size_t e) { whole.at[e] = how(whole.at[e], next.at[e]); });
  }
  template <unsigned N, class Block>
  [[nodiscard]] MPX_HOST_DEVICE adjacent<A, N> combined(Block const& block, std::size_t i) const {
    auto const sum = [](A a, A b) { return a + b; };
    if (how == combining::sum_in_pairs) return in_pairs<N>(block, i, sum);
    auto whole = of_part<N>(block, 0, i);
    for (std::size_t p = 1; p < count; ++p) {
      auto const next = of_part<N>(block, p, i);
      if (how == combining::sum) combine(whole, next, sum);
      else combine(whole, next, [](A a, A b) { return b > a ? b : a; });
    }
    return whole;
  }
  /// Sums that have no equal partner yet wait, like the digits of a binary counter.
  template <unsigned N, class Block, class Sum>
  [[nodiscard]] MPX_HOST_DEVICE adjacent<A, N> in_pairs(Block const& block, std::size_t i, Sum sum) const {
    adjacent<A, N> waiting[8];
    std::size_t used = 0;
    for (std::size_t p = 0; p < count; ++p) {
      waiting[used++] = of_part<N>(block, p, i);
      for (std::size_t carry = p; used > 1 && (carry % 2 == 1 || p + 1 == count); carry /= 2, --used)
        combine(waiting[used - 2], waiting[used - 1], sum);
    }
    return waiting[0];
  }
};

}  // namespace mpx::on_cuda
