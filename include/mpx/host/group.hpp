/// @file
/// Threads that meet at a barrier, sum their buffers, and give each other slices of them.
#pragma once

#include <cstddef>

#include <mpx/backend/thread_group.hpp>
#include <mpx/config/config.hpp>
#include <mpx/core/dtype.hpp>
#include <mpx/host/channel.hpp>

namespace mpx::on_host {

/// How parts become one: their sum, or the largest of each place.
struct sum_of {
  template <class A>
  static MPX_INLINE A with(A a, A b) {
    return a + b;
  }
};
struct max_of {
  template <class A>
  static MPX_INLINE A with(A a, A b) {
    return b > a ? b : a;
  }
};

/// whole[i] = the parts' i-th elements combined, for i from `begin` to `end`: written to every part, or to `slice` alone
/// where there is one.
/// Shapes  parts: [count] pointers to at least `end` elements each, count at most 2^15 in pairs; slice: [end - begin],
///         which may lie in a part at `begin`
/// Types   every result in accumulator_t<T>, rounded once
template <class Combine, bool InPairs, class T>
[[gnu::flatten]] MPX_KERNEL void combine_parts(void* const* parts, std::size_t count, std::size_t begin, std::size_t end,
                                               T* slice = nullptr) {
  using A = accumulator_t<T>;
  constexpr std::size_t block = 256;
  // In pairs, results that have no equal partner yet wait, like the digits of a binary counter.
  A whole[InPairs ? 16 : 1][block];
  for (; begin < end; begin += block) {
    std::size_t const n = end - begin < block ? end - begin : block;
    [[maybe_unused]] std::size_t waiting = 0;
    for (std::size_t p = 0; p < count; ++p) {
      T const* const part = static_cast<T const*>(parts[p]) + begin;
      if constexpr (InPairs) {
        A* const own = whole[waiting++];
        MPX_SIMD
        for (std::size_t i = 0; i < n; ++i) own[i] = A(part[i]);
        // Partners of equal size become one; behind the last part all that waits does.
        for (std::size_t carry = p; waiting > 1 && (carry % 2 == 1 || p + 1 == count); carry /= 2, --waiting) {
          A* const left = whole[waiting - 2];
          A const* const right = whole[waiting - 1];
          MPX_SIMD
          for (std::size_t i = 0; i < n; ++i) left[i] = Combine::with(left[i], right[i]);
        }
      } else {
        MPX_SIMD
        for (std::size_t i = 0; i < n; ++i) whole[0][i] = p == 0 ? A(part[i]) : Combine::with(whole[0][i], A(part[i]));
      }
    }
    for (std::size_t p = 0; p < (slice ? 1 : count); ++p) {
      T* const part = slice ? slice : static_cast<T*>(parts[p]) + begin;
      MPX_SIMD
      for (std::size_t i = 0; i < n; ++i) part[i] = T(whole[0][i]);
    }
    if (slice) slice += n;
  }
}

/// And how buffers of several of them become one.
struct group_memory : thread_memory {
  static constexpr std::size_t most_parts = std::size_t{1} << 15;

  template <class T>
  static void combine(combining how, void* const* parts, std::size_t count, std::size_t begin, std::size_t end, T* slice) {
    if (how == combining::sum) combine_parts<sum_of, false, T>(parts, count, begin, end, slice);
    else if (how == combining::sum_in_pairs) combine_parts<sum_of, true, T>(parts, count, begin, end, slice);
    else combine_parts<max_of, false, T>(parts, count, begin, end, slice);
  }
};

/// Threads of this process; see thread_group.
class group : public thread_group<group_memory> {
 public:
  using thread_group::thread_group;
};

}  // namespace mpx::on_host
