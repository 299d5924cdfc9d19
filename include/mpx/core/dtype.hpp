/// @file
/// Element types: f32 and f64 are the language's own, bf16 and f16 are stored as 16 bits and computed as f32.
#pragma once

#include <bit>
#include <cstdint>

#include <mpx/config/config.hpp>

namespace mpx {

/// The upper half of an f32: 8 exponent bits, 7 mantissa bits. Conversion rounds to nearest, ties to even.
struct bf16 {
  std::uint16_t bits = 0;

  bf16() = default;
  MPX_HOST_DEVICE MPX_INLINE bf16(float value) {
    auto const u = std::bit_cast<std::uint32_t>(value);
    std::uint32_t const rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
    std::uint32_t const quiet = (u >> 16) | 0x40u;  // keeps a NaN a NaN
    bits = static_cast<std::uint16_t>((u & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
  }
  MPX_HOST_DEVICE MPX_INLINE operator float() const {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
  }
};

/// IEEE 754 binary16: 5 exponent bits, 10 mantissa bits, largest value 65504. Rounds to nearest, ties to even;
/// subnormals are kept. Written without branches, so that loops over it vectorise on every machine.
struct f16 {
  std::uint16_t bits = 0;

  f16() = default;
  MPX_HOST_DEVICE MPX_INLINE f16(float value) {
    auto const u = std::bit_cast<std::uint32_t>(value);
    std::uint32_t const sign = (u >> 16) & 0x8000u;
    std::uint32_t const magnitude = u & 0x7fffffffu;
    // Normal results: re-bias the exponent (127 - 15 = 112) and round at bit 13.
    std::uint32_t const normal = (magnitude - (112u << 23) + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
    // Subnormal results: adding 0.5 aligns the mantissa so that the adder itself rounds at the right bit.
    std::uint32_t const small =
        std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - std::bit_cast<std::uint32_t>(0.5f);
    std::uint32_t const special = magnitude > 0x7f800000u ? 0x7e00u : 0x7c00u;
    std::uint32_t const finite = magnitude < (113u << 23) ? small : normal;
    bits = static_cast<std::uint16_t>(sign | (magnitude >= 0x477ff000u ? special : finite));
  }
  MPX_HOST_DEVICE MPX_INLINE operator float() const {
    std::uint32_t const sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
    std::uint32_t const magnitude = bits & 0x7fffu;
    // 2^112 re-biases the exponent; the multiplication also normalises subnormals.
    float const scaled = std::bit_cast<float>(magnitude << 13) * 0x1p112f;
    std::uint32_t const finite = std::bit_cast<std::uint32_t>(scaled);
    std::uint32_t const special = 0x7f800000u | (magnitude << 13);
    return std::bit_cast<float>(sign | (magnitude >= 0x7c00u ? special : finite));
  }
};

static_assert(sizeof(bf16) == 2 && sizeof(f16) == 2);

/// Sums of T are taken in this type: f32, or f64 where T is f64 (gradient checks).
template <class T>
struct accumulator {
  using type = float;
};
template <>
struct accumulator<double> {
  using type = double;
};
template <class T>
using accumulator_t = typename accumulator<T>::type;

template <class T>
inline constexpr char const* dtype_name = "?";
template <>
inline constexpr char const* dtype_name<float> = "f32";
template <>
inline constexpr char const* dtype_name<double> = "f64";
template <>
inline constexpr char const* dtype_name<bf16> = "bf16";
template <>
inline constexpr char const* dtype_name<f16> = "f16";

}  // namespace mpx
