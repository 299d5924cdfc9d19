#include <mpx/kernels/activation.hpp>

#include <cmath>
#include <limits>
#include <vector>

#include <mpx/host/rows.hpp>
#include <mpx/model/activation.hpp>
#include <mpx_test.hpp>

#include "numbers.hpp"

using mpx::kernels::activation_formula;
using mpx::on_host::row_operations;

namespace {

double exact(mpx::relu, double x) { return x > 0 ? x : 0; }
double exact(mpx::gelu, double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); }
double exact(mpx::gelu_tanh, double x) {
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
}
double exact(mpx::silu, double x) { return x / (1 + std::exp(-x)); }

}  // namespace

TEMPLATE_TEST_CASE("an activation's value is its definition's", "[kernels][activation]", mpx::relu, mpx::gelu,
                   mpx::gelu_tanh, mpx::silu) {
  for (int i = -800; i <= 800; ++i) {
    float const x = static_cast<float>(i) / 64;
    double const wanted = exact(TestType{}, x);
    CHECK(activation_formula<TestType>::value(x) == Approx(wanted).epsilon(5e-7).margin(1e-6));
    CHECK(activation_formula<TestType>::value(static_cast<double>(x)) == Approx(wanted).epsilon(1e-13).margin(1e-14));
  }
}

TEMPLATE_TEST_CASE("an activation's slope is the derivative of its value", "[kernels][activation]", mpx::relu,
                   mpx::gelu, mpx::gelu_tanh, mpx::silu) {
  using formula = activation_formula<TestType>;
  for (int i = -800; i <= 800; ++i) {
    double const x = (i + 0.5) / 64, step = 1e-5;
    double const wanted = (formula::value(x + step) - formula::value(x - step)) / (2 * step);
    CHECK(formula::slope(x) == Approx(wanted).epsilon(1e-8).margin(1e-9));
    CHECK(formula::slope(static_cast<float>(x)) == Approx(formula::slope(x)).epsilon(1e-6).margin(2e-6));
  }
}

TEMPLATE_TEST_CASE("an activation stays finite for finite values and passes NaN on", "[kernels][activation]", mpx::relu,
                   mpx::gelu, mpx::gelu_tanh, mpx::silu) {
  using formula = activation_formula<TestType>;
  for (float const x : {1e4f, -1e4f, 100.0f, -100.0f, 0.0f}) {
    CHECK(formula::value(x) == (x > 0 ? x : 0.0f));
    CHECK(std::isfinite(formula::slope(x)));
  }
  CHECK(std::isnan(formula::value(std::numeric_limits<float>::quiet_NaN())));
}

TEST_CASE("a gate of relu lets a value pass or stops it", "[kernels][activation]") {
  float const x[] = {1, -1, 2, 10, 20, 30, /* second row */ 0, 3, -3, 5, 5, 5};  // gates, then values
  float y[6];
  row_operations::gated_forward<mpx::relu>(y, x, 2, 3);
  CHECK(std::vector<float>(y, y + 6) == std::vector<float>{10, 0, 60, 0, 15, 0});
  float const dy[] = {1, 1, 1, 2, 2, 2};
  float dx[12];
  row_operations::gated_backward<mpx::relu>(dx, dy, x, 2, 3);
  CHECK(std::vector<float>(dx, dx + 12) == std::vector<float>{10, 0, 30, 1, 0, 2, 0, 10, 0, 0, 6, 0});
}

TEMPLATE_TEST_CASE("the gradient of a gated activation is its derivative at every width", "[kernels][activation]",
                   mpx::gelu, mpx::gelu_tanh, mpx::silu) {
  for (std::size_t const width : mpx_test::widths) {
    auto x = mpx_test::numbers<double>(2 * 2 * width, 3, 3.0);
    auto const dy = mpx_test::numbers<double>(2 * width, 4);
    std::vector<double> y(2 * width), dx(x.size());
    row_operations::gated_backward<TestType>(dx.data(), dy.data(), x.data(), 2, width);
    auto const loss = [&] {
      row_operations::gated_forward<TestType>(y.data(), x.data(), 2, width);
      return mpx_test::dot(y, dy);
    };
    for (std::size_t i = 0; i < x.size(); ++i)
      REQUIRE(dx[i] == Approx(mpx_test::slope(x, i, loss)).epsilon(1e-7).margin(1e-8));
  }
}

TEMPLATE_TEST_CASE("activations walk over every element in every type", "[kernels][activation]", float, double,
                   mpx::bf16, mpx::f16) {
  using A = mpx::accumulator_t<TestType>;
  for (std::size_t const n : mpx_test::widths) {
    auto const x = mpx_test::numbers<TestType>(n, 1, 4.0), dy = mpx_test::numbers<TestType>(n, 2);
    std::vector<TestType> y(n), dx(n);
    row_operations::activation_forward<mpx::gelu>(y.data(), x.data(), n);
    row_operations::activation_backward<mpx::gelu>(dx.data(), dy.data(), x.data(), n);
    double const allowed = sizeof(TestType) == 2 ? 1.0 / 128 : 1e-6;
    for (std::size_t i = 0; i < n; ++i) {
      A const at = x[i], slope = dy[i];
      REQUIRE(static_cast<A>(y[i]) == Approx(exact(mpx::gelu{}, at)).epsilon(allowed).margin(1e-6));
      REQUIRE(
          static_cast<A>(dx[i]) ==
          Approx(activation_formula<mpx::gelu>::slope(static_cast<double>(at)) * slope).epsilon(allowed).margin(1e-6));
    }
  }
}
