#include <mpx/kernels/math.hpp>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include <mpx/config/config.hpp>
#include <mpx_test.hpp>

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

MPX_KERNEL void exps(float* y, float const* x, std::size_t n) {
  MPX_SIMD
  for (std::size_t i = 0; i < n; ++i) y[i] = mpx::kernels::exp(x[i]);
}
MPX_KERNEL void tanhs(float* y, float const* x, std::size_t n) {
  MPX_SIMD
  for (std::size_t i = 0; i < n; ++i) y[i] = mpx::kernels::tanh(x[i]);
}
MPX_KERNEL void erfs(float* y, float const* x, std::size_t n) {
  MPX_SIMD
  for (std::size_t i = 0; i < n; ++i) y[i] = mpx::kernels::erf(x[i]);
}

/// |got - wanted| in units of the last place that `wanted` has as f32.
double ulp(float got, long double wanted) {
  if (std::isinf(got)) return std::abs(wanted) > 3.402823e38L ? 0.0 : 1e9;
  int exponent = 0;
  std::frexp(wanted, &exponent);
  long double const place = std::max(std::ldexp(1.0L, exponent - 24), 0x1p-149L);
  return static_cast<double>(std::abs(got - wanted) / place);
}

/// The largest error over a grid of bit patterns, through all exponents and both signs. A prime step reaches all
/// mantissa bits.
template <class Ours, class Theirs> double largest_error(Ours ours, Theirs theirs) {
  std::vector<float> x, y;
  for (std::uint64_t bits = 0; bits < (1ull << 32); bits += 4099) {
    float const value = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    if (std::isfinite(value)) x.push_back(value);
  }
  y.resize(x.size());
  ours(y.data(), x.data(), x.size());
  double worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i) worst = std::max(worst, ulp(y[i], theirs(static_cast<long double>(x[i]))));
  return worst;
}

}  // namespace

TEST_CASE("exp is within 1.03 ulp over all finite f32", "[kernels][math]") {
  CHECK(largest_error(exps, [](long double x) { return std::exp(x); }) < 1.03);
}

TEST_CASE("tanh is within 2.6 ulp over all finite f32", "[kernels][math]") {
  CHECK(largest_error(tanhs, [](long double x) { return std::tanh(x); }) < 2.6);
}

TEST_CASE("erf is within 1.13 ulp over all finite f32", "[kernels][math]") {
  CHECK(largest_error(erfs, [](long double x) { return std::erf(x); }) < 1.13);
}

TEST_CASE("exp of the infinities is 0 and infinity, and of NaN is NaN", "[kernels][math]") {
  CHECK(mpx::kernels::exp(-infinity) == 0.0f);
  CHECK(mpx::kernels::exp(-1e30f) == 0.0f);
  CHECK(mpx::kernels::exp(infinity) == infinity);
  CHECK(mpx::kernels::exp(88.8f) == infinity);
  CHECK(std::isfinite(mpx::kernels::exp(88.7f)));
  CHECK(mpx::kernels::exp(0.0f) == 1.0f);
  CHECK(mpx::kernels::exp(-100.0f) > 0.0f);  // subnormal
  CHECK(std::isnan(mpx::kernels::exp(std::numeric_limits<float>::quiet_NaN())));
}

TEST_CASE("tanh and erf reach 1, keep the sign of zero and pass NaN on", "[kernels][math]") {
  for (float const x : {10.0f, 1e30f, infinity}) {
    CHECK(mpx::kernels::tanh(x) == 1.0f);
    CHECK(mpx::kernels::tanh(-x) == -1.0f);
    CHECK(mpx::kernels::erf(x) == 1.0f);
    CHECK(mpx::kernels::erf(-x) == -1.0f);
  }
  CHECK(std::signbit(mpx::kernels::tanh(-0.0f)));
  CHECK(std::signbit(mpx::kernels::erf(-0.0f)));
  CHECK(std::isnan(mpx::kernels::tanh(std::numeric_limits<float>::quiet_NaN())));
  CHECK(std::isnan(mpx::kernels::erf(std::numeric_limits<float>::quiet_NaN())));
}

TEST_CASE("sigmoid is 1/2 at 0 and 0 and 1 far out", "[kernels][math]") {
  CHECK(mpx::kernels::sigmoid(0.0f) == 0.5f);
  CHECK(mpx::kernels::sigmoid(-infinity) == 0.0f);
  CHECK(mpx::kernels::sigmoid(infinity) == 1.0f);
  CHECK(mpx::kernels::sigmoid(2.0f) == Approx(1.0 / (1.0 + std::exp(-2.0))).epsilon(2e-7));
}

TEST_CASE("a value does not depend on where in the row it stands", "[kernels][math]") {
  // 37 = two vectors of 16 and a rest: body and rest of the loop must agree to the last bit.
  for (float const x : {-7.3f, -0.61f, 0.013f, 0.9f, 1.7f, 5.1f}) {
    std::vector<float> const row(37, x);
    std::vector<float> y(37);
    for (auto const f : {exps, tanhs, erfs}) {
      f(y.data(), row.data(), 37);
      for (float const value : y) REQUIRE(value == y[0]);
    }
  }
}
