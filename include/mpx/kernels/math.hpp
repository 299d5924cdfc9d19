/// @file
/// exp, tanh and erf without branches and without calls, so that a loop over them vectorises.
///
/// Coefficients are minimax fits (Lawson's algorithm, each rounded to f32 before the next was fitted). Errors were
/// measured over all f32 against long double, and are no larger without fused multiply-adds (one f32 in 1009);
/// tests/kernels/math.cpp repeats it on a grid. f64 is for gradient checks and goes to the standard library.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include <mpx/config/config.hpp>

namespace mpx::kernels {

namespace detail {

/// x = n ln 2 + r with |r| <= ln(2) / 2; `tail` is e^r - 1.
struct exp_parts {
  std::int32_t n;
  float tail;
};

/// Adding 1.5 * 2^23 rounds to the nearest integer and leaves it in the low bits of the sum. The upper part of ln 2
/// has 15 bits, so that n * upper is exact.
MPX_HOST_DEVICE MPX_INLINE exp_parts split_exp(float x) {
  float const shifted = x * 0x1.715476p0f + 0x1.8p23f;
  float const n = shifted - 0x1.8p23f;
  float const r = (x - n * 0x1.62e4p-1f) - n * 0x1.7f7d1cp-20f;
  float q = 0x1.6d7154p-10f;
  q = q * r + 0x1.123ad8p-7f;
  q = q * r + 0x1.5554c8p-5f;
  q = q * r + 0x1.55549p-3f;
  q = q * r + 0.5f;
  auto const bits = std::bit_cast<std::uint32_t>(shifted) - 0x4b400000u;
  return {static_cast<std::int32_t>(bits), r + r * r * q};
}

/// 2^n for n in [-126, 127].
MPX_HOST_DEVICE MPX_INLINE float power_of_two(std::int32_t n) {
  return std::bit_cast<float>((static_cast<std::uint32_t>(n) + 127u) << 23);
}

/// The sign of `sign` on the magnitude of `value`.
MPX_HOST_DEVICE MPX_INLINE float with_sign(float value, float sign) {
  return std::bit_cast<float>((std::bit_cast<std::uint32_t>(value) & 0x7fffffffu) |
                              (std::bit_cast<std::uint32_t>(sign) & 0x80000000u));
}

MPX_HOST_DEVICE MPX_INLINE float magnitude(float value) {
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) & 0x7fffffffu);
}

}  // namespace detail

/// e^x. -inf gives 0, what is too large gives inf, NaN stays NaN; subnormal results are kept.
/// Units   error at most 1.03 ulp
MPX_HOST_DEVICE MPX_INLINE float exp(float x) {
  // The bounds lie beyond the last finite result and below half the least subnormal. NaN passes both comparisons.
  float const high = x > 89.0f ? 89.0f : x;
  auto const [n, tail] = detail::split_exp(high < -104.0f ? -104.0f : high);
  std::int32_t const half = n >> 1;  // 2^n itself may be out of range
  return (1.0f + tail) * detail::power_of_two(half) * detail::power_of_two(n - half);
}
MPX_HOST_DEVICE MPX_INLINE double exp(double x) { return std::exp(x); }

/// tanh(x) = t / (t + 2) with t = e^(2 |x|) - 1, which keeps small x exact.
/// Units   error at most 2.6 ulp
MPX_HOST_DEVICE MPX_INLINE float tanh(float x) {
  float const a = detail::magnitude(x);
  auto const [n, tail] = detail::split_exp(2.0f * (a > 10.0f ? 10.0f : a));  // 1 - tanh(10) is below half an ulp
  float const power = detail::power_of_two(n);
  float const t = power * tail + (power - 1.0f);
  return detail::with_sign(t / (t + 2.0f), x);
}
MPX_HOST_DEVICE MPX_INLINE double tanh(double x) { return std::tanh(x); }

/// erf(x): x + x p(x^2) below 0.9; 1 - e^(-x q(x)) from there on.
/// Units   error at most 1.13 ulp
MPX_HOST_DEVICE MPX_INLINE float erf(float x) {
  float const a = detail::magnitude(x);
  float const s = a * a;
  float p = 0x1.4d2864p-14f;
  p = p * s - 0x1.a583bcp-11f;
  p = p * s + 0x1.543f2ap-8f;
  p = p * s - 0x1.b80062p-6f;
  p = p * s + 0x1.ce2d6p-4f;
  p = p * s - 0x1.812740p-2f;
  p = p * s + 0x1.06eba8p-3f;
  float const small = a + a * p;
  float const b = a > 4.0f ? 4.0f : a;  // 1 - erf(4) is below half an ulp
  float q = -0x1.c20e12p-13f;
  q = q * b + 0x1.a60ea2p-9f;
  q = q * b - 0x1.774bb6p-6f;
  q = q * b + 0x1.af4196p-4f;
  q = q * b + 0x1.457a5cp-1f;
  q = q * b + 0x1.20e6bp0f;
  float const large = 1.0f - exp(-b * q);
  return detail::with_sign(a < 0.9f ? small : large, x);
}
MPX_HOST_DEVICE MPX_INLINE double erf(double x) { return std::erf(x); }

/// 1 / (1 + e^-x), from 0 (below -88.7, where e^-x overflows) to 1.
MPX_HOST_DEVICE MPX_INLINE float sigmoid(float x) { return 1.0f / (1.0f + exp(-x)); }
MPX_HOST_DEVICE MPX_INLINE double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

}  // namespace mpx::kernels
