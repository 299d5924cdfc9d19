#include <mpx/kernels/elementwise.hpp>

#include <cmath>
#include <limits>
#include <vector>

#include <mpx/host/rows.hpp>
#include <mpx_test.hpp>

#include "numbers.hpp"

using mpx::on_host::row_operations;
using mpx_test::numbers;

TEMPLATE_TEST_CASE("cast rounds every element as the type itself does", "[kernels][elementwise]", float, mpx::bf16,
                   mpx::f16) {
  for (std::size_t const n : mpx_test::widths) {
    auto const x = numbers<float>(n, 1, 100.0);
    std::vector<TestType> y(n);
    row_operations::cast(y.data(), x.data(), n);
    for (std::size_t i = 0; i < n; ++i) REQUIRE(static_cast<float>(y[i]) == static_cast<float>(TestType(x[i])));
  }
}

TEMPLATE_TEST_CASE("add adds in the accumulator type and rounds once", "[kernels][elementwise]", float, double,
                   mpx::bf16, mpx::f16) {
  using A = mpx::accumulator_t<TestType>;
  for (std::size_t const n : mpx_test::widths) {
    auto const x = numbers<TestType>(n, 2), before = numbers<TestType>(n, 3);
    auto y = before;
    row_operations::add(y.data(), x.data(), n);
    for (std::size_t i = 0; i < n; ++i)
      REQUIRE(static_cast<A>(y[i]) == static_cast<A>(TestType(static_cast<A>(before[i]) + static_cast<A>(x[i]))));
  }
}

TEMPLATE_TEST_CASE("scale multiplies in the accumulator type and rounds once, also in place", "[kernels][elementwise]",
                   float, double, mpx::bf16, mpx::f16) {
  using A = mpx::accumulator_t<TestType>;
  for (std::size_t const n : mpx_test::widths) {
    auto const x = numbers<TestType>(n, 4);
    std::vector<TestType> y(n), z = x;
    row_operations::scale(y.data(), x.data(), A(0.3), n);
    row_operations::scale(z.data(), z.data(), A(0.3), n);
    for (std::size_t i = 0; i < n; ++i) {
      REQUIRE(static_cast<A>(y[i]) == static_cast<A>(TestType(A(0.3) * static_cast<A>(x[i]))));
      REQUIRE(static_cast<A>(z[i]) == static_cast<A>(y[i]));
    }
  }
}

TEST_CASE("column_sum adds the rows, in their order, to what was there", "[kernels][elementwise]") {
  float const x[] = {1, 2, 3, 4, 5, 6};
  float sum[] = {10, 20};
  row_operations::column_sum(sum, x, 3, 2);
  CHECK(sum[0] == 19.0f);
  CHECK(sum[1] == 32.0f);

  // 2^24 + 1 + 1 is 2^24 in f32, 1 + 1 + 2^24 is more: the order shows.
  float const large_first[] = {16777216.0f, 1.0f, 1.0f}, large_last[] = {1.0f, 1.0f, 16777216.0f};
  float first = 0, last = 0;
  row_operations::column_sum(&first, large_first, 3, 1);
  row_operations::column_sum(&last, large_last, 3, 1);
  CHECK(first == 16777216.0f);
  CHECK(last == 16777218.0f);
}

TEST_CASE("sum_of_squares is the sum of squares", "[kernels][elementwise]") {
  for (std::size_t const n : mpx_test::widths) {
    auto const x = numbers<double>(n, 4);
    CHECK(row_operations::sum_of_squares(x.data(), n) == Approx(mpx_test::dot(x, x)).epsilon(1e-14));
  }
  CHECK(row_operations::sum_of_squares(static_cast<float const*>(nullptr), 0) == 0.0f);
}

TEST_CASE("sum_of_squares stays accurate over a million elements", "[kernels][elementwise]") {
  std::vector<float> const x(1 << 20, 0.1f);
  double const exact = static_cast<double>(0.1f) * 0.1f * (1 << 20);
  CHECK(row_operations::sum_of_squares(x.data(), x.size()) == Approx(exact).epsilon(1e-5));
}

TEST_CASE("one value that is not finite makes the sum of squares not finite, wherever it stands",
          "[kernels][elementwise]") {
  for (float const bad : {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
                          std::numeric_limits<float>::quiet_NaN()})
    for (std::size_t at = 0; at < 40; ++at) {
      std::vector<float> x(40, 1.0f);
      x[at] = bad;
      REQUIRE(!std::isfinite(row_operations::sum_of_squares(x.data(), x.size())));
    }
}

TEST_CASE("zero and copy do nothing to no bytes", "[kernels][elementwise]") {
  row_operations::zero(nullptr, 0);
  row_operations::copy(nullptr, nullptr, 0);
  float x[] = {1, 2}, y[] = {3, 4};
  row_operations::copy(y, x, sizeof x);
  row_operations::zero(x, sizeof(float));
  CHECK(x[0] == 0.0f);
  CHECK(x[1] == 2.0f);
  CHECK(y[0] == 1.0f);
  CHECK(y[1] == 2.0f);
}
