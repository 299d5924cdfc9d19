/// @file
/// The host's lanes: SIMD loops.
#pragma once

#include <cstddef>
#include <limits>

#include <mpx/config/config.hpp>
#include <mpx/kernels/lanes.hpp>

namespace mpx::on_host {

/// One core walks along the row. Sums and maxima are kept in 16 partial results, element i in partial result i % 16,
/// which are then combined in pairs: what comes out depends neither on the width of the machine's vectors nor on
/// where the row lies in memory.
///
/// A loop vectorises only when its body is inlined whatever its size, which `flatten` asks for: clang heeds it here,
/// gcc on the outermost function, that is the kernel (host/rows.hpp).
struct lanes {
  static constexpr std::size_t partials = 16;

  template <class F> [[gnu::flatten]] MPX_INLINE void each(std::size_t n, F f) const {
    MPX_SIMD
    for (std::size_t i = 0; i < n; ++i) f(i);
  }

  template <class F> [[gnu::flatten]] MPX_INLINE auto sum(std::size_t n, F f) const {
    using value = decltype(f(n));
    return reduced(n, f, value{0}, [](value a, value b) { return a + b; });
  }

  template <class F> [[gnu::flatten]] MPX_INLINE auto max(std::size_t n, F f) const {
    using value = decltype(f(n));
    return reduced(n, f, -std::numeric_limits<value>::infinity(), [](value a, value b) { return b > a ? b : a; });
  }

 private:
  template <class F, class Value, class Combine>
  [[gnu::flatten]] static MPX_INLINE Value reduced(std::size_t n, F f, Value start, Combine combine) {
    Value partial[partials];
    for (std::size_t j = 0; j < partials; ++j) partial[j] = start;
    std::size_t const whole = n / partials * partials;
    for (std::size_t i = 0; i < whole; i += partials) {
      MPX_SIMD
      for (std::size_t j = 0; j < partials; ++j) partial[j] = combine(partial[j], f(i + j));
    }
    for (std::size_t i = whole; i < n; ++i) partial[i - whole] = combine(partial[i - whole], f(i));
    for (std::size_t half = partials / 2; half > 0; half /= 2)
      for (std::size_t j = 0; j < half; ++j) partial[j] = combine(partial[j], partial[j + half]);
    return partial[0];
  }
};

static_assert(kernels::lanes<lanes>);

}  // namespace mpx::on_host
