/// @file
/// Numbers to feed formulas with, and how to doubt a derivative.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <mpx/core/random.hpp>

namespace mpx_test {

/// Around the 16 partial sums, and one round width.
inline constexpr std::array<std::size_t, 8> widths{1, 2, 15, 16, 17, 31, 33, 128};

/// n numbers in (-scale, scale), the same for the same seed.
template <class T> std::vector<T> numbers(std::size_t n, std::uint64_t seed, double scale = 1.0) {
  std::vector<T> result(n);
  for (std::size_t i = 0; i < n; ++i) {
    double const u = mpx::uniform(mpx::philox({static_cast<std::uint32_t>(i), 0, 0, 0}, seed)[0]);
    result[i] = T(static_cast<float>(scale * (2 * u - 1)));
  }
  return result;
}

/// What the elements of x are, as f64.
template <class T> std::vector<double> as_double(std::vector<T> const& x) {
  std::vector<double> result;
  for (T const value : x) result.push_back(static_cast<double>(value));
  return result;
}

/// d f / d x[i] by central differences; `f` reads x.
template <class F> double slope(std::vector<double>& x, std::size_t i, F f) {
  double const at = x[i], step = 1e-5;
  x[i] = at + step;
  double const above = f();
  x[i] = at - step;
  double const below = f();
  x[i] = at;
  return (above - below) / (2 * step);
}

/// sum_i a[i] b[i]
inline double dot(std::vector<double> const& a, std::vector<double> const& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace mpx_test
