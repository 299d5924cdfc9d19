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

/// The block's threads share n elements: f(number, first) stands for so many from the first on, the number a constant of the
/// compiler. It is N where they are aligned for that, else 1.
template <unsigned N, class Block, class F>
MPX_HOST_DEVICE MPX_INLINE void each_adjacent(Block const& block, std::size_t n, bool aligned, F f) {
  std::size_t const together = aligned ? n / N * N : 0;
  for (std::size_t i = N * block.thread(); i < together; i += N * block.threads())
    f(std::integral_constant<unsigned, N>{}, i);
  for (std::size_t i = together + block.thread(); i < n; i += block.threads()) f(std::integral_constant<unsigned, 1>{}, i);
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
  each_adjacent<together>(block, n, (is_aligned<together>(detail::start_of(operand)) && ...),
                          [&](auto number, std::size_t first) {
                            detail::apply_held<number()>(block, formula, detail::hold<number()>(block, operand, first)...);
                          });
}

}  // namespace mpx::on_cuda
