#include <mpx/kernels/lanes.hpp>

#include <limits>
#include <vector>

#include <mpx/host/lanes.hpp>
#include <mpx/kernels/norm.hpp>
#include <mpx_test.hpp>

#include "numbers.hpp"

namespace {

/// The plainest lanes there are: one worker, one element after the other.
struct one_by_one {
  template <class F> void each(std::size_t n, F f) const {
    for (std::size_t i = 0; i < n; ++i) f(i);
  }
  template <class F> auto sum(std::size_t n, F f) const {
    decltype(f(n)) total{0};
    for (std::size_t i = 0; i < n; ++i) total += f(i);
    return total;
  }
  template <class F> auto max(std::size_t n, F f) const {
    auto high = -std::numeric_limits<decltype(f(n))>::infinity();
    for (std::size_t i = 0; i < n; ++i) high = f(i) > high ? f(i) : high;
    return high;
  }
};

}  // namespace

static_assert(mpx::kernels::lanes<mpx::on_host::lanes>);
static_assert(mpx::kernels::lanes<one_by_one>);
static_assert(!mpx::kernels::lanes<int>);

TEST_CASE("each visits every index once", "[kernels][lanes]") {
  for (std::size_t n = 0; n < 70; ++n) {
    std::vector<int> visits(70, 0);
    mpx::on_host::lanes{}.each(n, [&](std::size_t i) { visits[i] += 1; });
    for (std::size_t i = 0; i < 70; ++i) REQUIRE(visits[i] == (i < n ? 1 : 0));
  }
}

TEST_CASE("sum adds element i to partial sum i % 16 and combines the partial sums in pairs", "[kernels][lanes]") {
  auto const x = mpx_test::numbers<float>(100, 1);
  for (std::size_t n = 0; n <= 100; ++n) {
    float partial[16] = {};
    for (std::size_t i = 0; i < n; ++i) partial[i % 16] += x[i];
    for (int half : {8, 4, 2, 1})
      for (int j = 0; j < half; ++j) partial[j] += partial[j + half];
    REQUIRE(mpx::on_host::lanes{}.sum(n, [&](std::size_t i) { return x[i]; }) == partial[0]);
  }
}

TEST_CASE("max finds the largest wherever it stands, and -inf in nothing", "[kernels][lanes]") {
  mpx::on_host::lanes const along;
  CHECK(along.max(0, [](std::size_t) { return 1.0f; }) == -std::numeric_limits<float>::infinity());
  for (std::size_t n = 1; n < 50; ++n)
    for (std::size_t at = 0; at < n; ++at)
      REQUIRE(along.max(n, [=](std::size_t i) { return i == at ? -1.0f : -2.0f; }) == -1.0f);
}

TEST_CASE("max ignores NaN", "[kernels][lanes]") {
  float const nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(mpx::on_host::lanes{}.max(20, [=](std::size_t i) { return i % 2 == 0 ? nan : 3.0f; }) == 3.0f);
}

TEST_CASE("a formula gives the same with any lanes, to rounding", "[kernels][lanes]") {
  auto const x = mpx_test::numbers<double>(33, 2), weight = mpx_test::numbers<double>(33, 3);
  std::vector<double> fast(33), plain(33);
  double mean[2], rstd[2];
  mpx::kernels::layer_norm_row(mpx::on_host::lanes{}, fast.data(), &mean[0], &rstd[0], x.data(), weight.data(),
                               weight.data(), 33);
  mpx::kernels::layer_norm_row(one_by_one{}, plain.data(), &mean[1], &rstd[1], x.data(), weight.data(), weight.data(),
                               33);
  CHECK(mean[0] == Approx(mean[1]).epsilon(1e-13));
  CHECK(rstd[0] == Approx(rstd[1]).epsilon(1e-13));
  for (std::size_t c = 0; c < 33; ++c) REQUIRE(fast[c] == Approx(plain[c]).epsilon(1e-13).margin(1e-13));
}
