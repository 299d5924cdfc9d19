#include <mpx/core/dtype.hpp>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include <mpx_test.hpp>

using mpx::bf16;
using mpx::f16;

static_assert(std::is_same_v<mpx::accumulator_t<bf16>, float>);
static_assert(std::is_same_v<mpx::accumulator_t<double>, double>);

namespace {

template <class T> T of_bits(std::uint32_t bits) {
  T value;
  value.bits = static_cast<std::uint16_t>(bits);
  return value;
}

/// What a pattern means, from the definition of the format.
double meaning(std::uint32_t bits, int mantissa_bits, int bias) {
  int const exponent_bits = 15 - mantissa_bits;
  auto const mantissa = static_cast<double>(bits & ((1u << mantissa_bits) - 1));
  int const exponent = static_cast<int>(bits >> mantissa_bits) & ((1 << exponent_bits) - 1);
  double const fraction = std::ldexp(mantissa, -mantissa_bits);
  double const size = exponent == 0 ? std::ldexp(fraction, 1 - bias) : std::ldexp(1 + fraction, exponent - bias);
  return (bits & 0x8000u) != 0 ? -size : size;
}

/// Counts the patterns that break a law, so that one failure does not print 65536 lines.
template <class T> int wrong_patterns(std::uint32_t infinity, int mantissa_bits, int bias) {
  int wrong = 0;
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    float const value = of_bits<T>(bits);
    std::uint32_t const magnitude = bits & 0x7fffu;
    if (magnitude > infinity) {
      wrong += !std::isnan(value) || !std::isnan(static_cast<float>(T(value)));
    } else {
      bool const meant = magnitude == infinity ? std::isinf(value) : value == meaning(bits, mantissa_bits, bias);
      wrong += !meant || T(value).bits != bits;
    }
  }
  return wrong;
}

/// Between each two neighbours: the middle goes to the even one, all else to the nearer one.
template <class T> int wrong_roundings(std::uint32_t infinity, int mantissa_bits, int bias) {
  int wrong = 0;
  for (std::uint32_t low = 0; low + 1 < infinity; ++low) {
    double const between = (meaning(low, mantissa_bits, bias) + meaning(low + 1, mantissa_bits, bias)) / 2;
    auto const middle = static_cast<float>(between);
    std::uint32_t const even = low + (low & 1u);
    for (std::uint32_t const sign : {0u, 0x8000u}) {
      float const s = sign != 0 ? -1.0f : 1.0f;
      wrong += T(s * middle).bits != (sign | even);
      wrong += T(s * std::nextafter(middle, 0.0f)).bits != (sign | low);
      wrong += T(s * std::nextafter(middle, std::numeric_limits<float>::infinity())).bits != (sign | (low + 1));
    }
  }
  return wrong;
}

}  // namespace

TEST_CASE("every bf16 pattern means what the format says and survives a round trip", "[core][dtype]") {
  CHECK(wrong_patterns<bf16>(0x7f80u, 7, 127) == 0);
}

TEST_CASE("every f16 pattern means what the format says and survives a round trip", "[core][dtype]") {
  CHECK(wrong_patterns<f16>(0x7c00u, 10, 15) == 0);
}

TEST_CASE("bf16 rounds to nearest, ties to even, between all neighbours", "[core][dtype]") {
  CHECK(wrong_roundings<bf16>(0x7f80u, 7, 127) == 0);
}

TEST_CASE("f16 rounds to nearest, ties to even, between all neighbours", "[core][dtype]") {
  CHECK(wrong_roundings<f16>(0x7c00u, 10, 15) == 0);
}

TEST_CASE("f16 overflows at the middle between its largest value and the next", "[core][dtype]") {
  CHECK(static_cast<float>(f16(65504.0f)) == 65504.0f);
  CHECK(static_cast<float>(f16(65519.0f)) == 65504.0f);
  CHECK(std::isinf(static_cast<float>(f16(65520.0f))));
  CHECK(static_cast<float>(f16(-1e30f)) == -std::numeric_limits<float>::infinity());
}

TEST_CASE("bf16 overflows to infinity and keeps a NaN whose upper bits are zero", "[core][dtype]") {
  CHECK(std::isinf(static_cast<float>(bf16(std::numeric_limits<float>::max()))));
  CHECK(std::isnan(static_cast<float>(bf16(std::bit_cast<float>(0x7f800001u)))));
  CHECK(std::isnan(static_cast<float>(f16(std::bit_cast<float>(0x7f800001u)))));
}
