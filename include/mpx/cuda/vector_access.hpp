/// @file
/// Accesses of up to 16 bytes: a thread loads adjacent elements at once, leaves them to formulas of kernels/ in its registers,
/// and stores them at once. What is computed for an element does not depend on how it was loaded.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include <mpx/config/config.hpp>
#include <mpx/cuda/block.hpp>

namespace mpx::on_cuda {

/// The lanes of a thread alone. A formula over elements whose number the compiler knows stays in registers.
struct thread_lanes {
  template <class F> MPX_HOST_DEVICE MPX_INLINE void each(std::size_t n, F f) const {
    MPX_UNROLL
    for (std::size_t i = 0; i < n; ++i) f(i);
  }
  template <class F> MPX_HOST_DEVICE MPX_INLINE float sum(std::size_t n, F f) const {
    float all = 0.0f;
    each(n, [&](std::size_t i) { all += f(i); });
    return all;
  }
  template <class F> MPX_HOST_DEVICE MPX_INLINE float max(std::size_t n, F f) const {
    float all = -std::numeric_limits<float>::infinity();
    each(n, [&](std::size_t i) { all = larger{}(all, f(i)); });
    return all;
  }
};

/// Elements that lie side by side, aligned as the widest access that they fill.
template <class T, unsigned N>
struct alignas(N * sizeof(T) < 16 ? N * sizeof(T) : 16) adjacent {
  T at[N];
};

/// Whether N elements at once can be loaded from, or stored to, `at` and every N-th element after it.
template <unsigned N, class T>
[[nodiscard]] MPX_HOST_DEVICE MPX_INLINE bool is_aligned(T const* at) {
  return reinterpret_cast<std::uintptr_t>(at) % alignof(adjacent<T, N>) == 0;
}

template <unsigned N, class Block, class T>
[[nodiscard]] MPX_HOST_DEVICE MPX_INLINE adjacent<T, N> load(Block const& block, T const* at) {
  using values = adjacent<T, N>;
  values own;
  MPX_UNROLL
  for (unsigned i = 0; i < N; i += alignof(values) / sizeof(T)) block.template read<alignof(values)>(own.at + i, at + i);
  return own;
}
template <unsigned N, class Block, class T>
MPX_HOST_DEVICE MPX_INLINE void store(Block const& block, T* at, adjacent<T, N> const& own) {
  using values = adjacent<T, N>;
  MPX_UNROLL
  for (unsigned i = 0; i < N; i += alignof(values) / sizeof(T)) block.template write<alignof(values)>(at + i, own.at + i);
}

namespace detail {

template <unsigned N, class T>
[[nodiscard]] MPX_HOST_DEVICE MPX_INLINE std::size_t elements_before(T const* at) {
  return (std::uintptr_t{0} - reinterpret_cast<std::uintptr_t>(at)) % alignof(adjacent<T, N>) / sizeof(T);
}

}  // namespace detail

/// How many of n elements come before the first ones that can be loaded N at once, in all of the operands: n where there are
/// none.
template <unsigned N, class T, class... More>
[[nodiscard]] MPX_HOST_DEVICE MPX_INLINE std::size_t lead_of(std::size_t n, T const* operand, More const*... more) {
  std::size_t const lead = detail::elements_before<N>(operand);
  return lead < n && ((detail::elements_before<N>(more) == lead) && ...) ? lead : n;
}

/// The block's threads share n elements: f(number, first) stands for so many from the first on, the number a constant of the
/// compiler. It is N after the `lead`, as long as they last, else 1.
template <unsigned N, class Block, class F>
MPX_HOST_DEVICE MPX_INLINE void each_adjacent(Block const& block, std::size_t n, std::size_t lead, F f) {
  std::size_t const together = (n - lead) / N * N;
  for (std::size_t i = N * block.thread(); i < together; i += N * block.threads())
    f(std::integral_constant<unsigned, N>{}, lead + i);
  for (std::size_t i = block.thread(); i < n - together; i += block.threads())
    f(std::integral_constant<unsigned, 1>{}, i < lead ? i : together + i);
}

/// What a formula writes without having read it.
template <class T>
struct only_written {
  T* at;
};
template <class T> only_written(T*) -> only_written<T>;

namespace detail {

/// An operand's elements in a thread's registers: T const is read alone, T is read and written.
template <class T, unsigned N, bool Read>
struct held_elements {
  using element = std::remove_const_t<T>;
  T* place;
  adjacent<element, N> own;

  template <class Block>
  MPX_HOST_DEVICE MPX_INLINE held_elements(Block const& block, T* of) : place(of) {
    if constexpr (Read) own = load<N>(block, static_cast<element const*>(of));
  }
  template <class Block>
  MPX_HOST_DEVICE MPX_INLINE void write_back(Block const& block) const {
    if constexpr (!std::is_const_v<T>) store<N>(block, place, own);
  }
};

template <unsigned N, class Block, class T>
[[nodiscard]] MPX_HOST_DEVICE MPX_INLINE auto hold(Block const& block, T* operand, std::size_t first) {
  return held_elements<T, N, true>(block, operand + first);
}
template <unsigned N, class Block, class T>
[[nodiscard]] MPX_HOST_DEVICE MPX_INLINE auto hold(Block const& block, only_written<T> operand, std::size_t first) {
  return held_elements<T, N, false>(block, operand.at + first);
}

template <class T> MPX_HOST_DEVICE MPX_INLINE T const* start_of(T const* operand) { return operand; }
template <class T> MPX_HOST_DEVICE MPX_INLINE T const* start_of(only_written<T> operand) { return operand.at; }

template <class Operand>
inline constexpr unsigned element_bytes = sizeof(*start_of(Operand{}));

template <unsigned N, class Block, class Formula, class... Held>
MPX_HOST_DEVICE MPX_INLINE void apply_held(Block const& block, Formula const& formula, Held... held) {
  formula(thread_lanes{}, std::size_t{N}, held.own.at...);
  (held.write_back(block), ...);
}

}  // namespace detail

/// formula(lanes, n, operands...) over n elements, element by element: the block's threads share them, the widest operand's
/// in accesses of 16 bytes where all operands are aligned for it. An operand may be another one, but not overlap it.
/// Shapes  each operand: [n], T const* where it is read, T* where it is changed, only_written where it is not read
template <class Block, class Formula, class... Operand>
MPX_HOST_DEVICE MPX_INLINE void element_wise(Block const& block, std::size_t n, Formula const& formula, Operand... operand) {
  constexpr unsigned together = 16 / std::max({detail::element_bytes<Operand>...});
  each_adjacent<together>(block, n, lead_of<together>(n, detail::start_of(operand)...), [&](auto number, std::size_t first) {
    detail::apply_held<number()>(block, formula, detail::hold<number()>(block, operand, first)...);
  });
}

/// A row in the registers of its block's threads: each element is read once, 16 bytes at a time where the row is aligned for
/// it. Sixteen bytes belong to one thread, the next ones to the next, four times around.
template <class T>
struct row_in_registers {
  static constexpr unsigned together = 16 / sizeof(T), times = 4;
  alignas(16) T own[together * times];

  [[nodiscard]] static MPX_HOST_DEVICE constexpr bool fits(std::size_t width) { return width <= 512 * together * times; }
  /// One block for each row.
  [[nodiscard]] static launch_size size(std::size_t rows, std::size_t width) {
    std::size_t const warps = runs_of(width, warp_width * together * times);
    return {rows, warp_width * static_cast<unsigned>(warps), lane_bytes};
  }

  row_in_registers() = default;
  template <class Block>
  MPX_HOST_DEVICE MPX_INLINE row_in_registers(Block const& block, T const* row, std::size_t width) {
    bool const aligned = is_aligned<together>(row);
    MPX_UNROLL
    for (unsigned time = 0; time < times; ++time) {
      unsigned const first = first_of(block, time);
      T* const to = own + time * together;
      if (aligned && first + together <= width) block.template read<16>(to, row + first);
      else
        MPX_UNROLL
        for (unsigned i = 0; i < together; ++i) to[i] = first + i < width ? row[first + i] : T(0.0f);
    }
  }
  template <class Block>
  MPX_HOST_DEVICE MPX_INLINE void write(Block const& block, T* row, std::size_t width) const {
    bool const aligned = is_aligned<together>(row);
    MPX_UNROLL
    for (unsigned time = 0; time < times; ++time) {
      unsigned const first = first_of(block, time);
      T const* const from = own + time * together;
      if (aligned && first + together <= width) block.template write<16>(row + first, from);
      else
        MPX_UNROLL
        for (unsigned i = 0; i < together; ++i)
          if (first + i < width) row[first + i] = from[i];
    }
  }
  /// Where in the row a thread's elements of one time around begin.
  template <class Block>
  [[nodiscard]] static MPX_HOST_DEVICE MPX_INLINE unsigned first_of(Block const& block, unsigned time) {
    return (time * block.threads() + block.thread()) * together;
  }
};

/// The lanes of such rows. A formula that asks for the elements of a row, whatever their places in it, is given the thread's
/// own: f's index is one of the thread's registers. Each thread adds its elements in order, then as block_lanes.
template <class T, class Block>
class register_lanes {
 public:
  explicit MPX_HOST_DEVICE register_lanes(Block const& block) : block_(block) {}

  template <class F> MPX_HOST_DEVICE MPX_INLINE void each(std::size_t n, F f) const {
    using row = row_in_registers<T>;
    MPX_UNROLL
    for (unsigned time = 0; time < row::times; ++time) {
      unsigned const first = row::first_of(block_, time), end = static_cast<unsigned>(n);
      unsigned const left = first < end ? end - first : 0;
      MPX_UNROLL
      for (unsigned i = 0; i < row::together; ++i)
        if (i < left) f(std::size_t{time * row::together + i});
    }
  }
  template <class F> MPX_HOST_DEVICE MPX_INLINE float sum(std::size_t n, F f) const { return reduced(n, f, 0.0f, plus{}); }
  template <class F> MPX_HOST_DEVICE MPX_INLINE float max(std::size_t n, F f) const {
    return reduced(n, f, -std::numeric_limits<float>::infinity(), larger{});
  }

 private:
  template <class F, class Combine>
  MPX_HOST_DEVICE MPX_INLINE float reduced(std::size_t n, F f, float own, Combine combine) const {
    each(n, [&](std::size_t i) { own = combine(own, f(i)); });
    return combine_in_block(block_, own, combine);
  }

  Block const& block_;
};

}  // namespace mpx::on_cuda
