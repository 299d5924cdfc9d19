#include <mpx/kernels/cross_entropy.hpp>

#include <cmath>
#include <cstdint>
#include <vector>

#include <mpx/host/rows.hpp>
#include <mpx_test.hpp>

#include "numbers.hpp"

using mpx::on_host::row_operations;
using mpx_test::numbers;

namespace {

/// The definition, in f64 and without care for large logits.
double naive(std::vector<double> const& logits, std::vector<std::int32_t> const& targets, std::size_t vocabulary,
             double smoothing) {
  double loss = 0;
  for (std::size_t r = 0; r < targets.size(); ++r) {
    if (targets[r] < 0) continue;
    double const* const row = logits.data() + r * vocabulary;
    double total = 0, all = 0;
    for (std::size_t c = 0; c < vocabulary; ++c) total += std::exp(row[c]);
    for (std::size_t c = 0; c < vocabulary; ++c) all += row[c] - std::log(total);
    loss -= (1 - smoothing) * (row[targets[r]] - std::log(total)) + smoothing / static_cast<double>(vocabulary) * all;
  }
  return loss;
}

}  // namespace

TEST_CASE("equal logits cost the logarithm of the vocabulary", "[kernels][cross_entropy]") {
  std::vector<float> logits(8, 3.0f);
  std::int32_t const target = 5;
  float loss = -1;
  row_operations::cross_entropy(&loss, logits.data(), &target, 1, 8, 0.0f, 1.0f, true);
  CHECK(loss == Approx(std::log(8.0)));
  // p = 1/8 everywhere, q = 1 at the target.
  for (int c = 0; c < 8; ++c) CHECK(logits[c] == Approx(c == 5 ? 0.125 - 1 : 0.125));
}

TEMPLATE_TEST_CASE("the loss is the definition's, with and without smoothing", "[kernels][cross_entropy]", float,
                   double, mpx::bf16, mpx::f16) {
  using A = mpx::accumulator_t<TestType>;
  for (std::size_t const vocabulary : mpx_test::widths)
    for (double const smoothing : {0.0, 0.1}) {
      auto logits = numbers<TestType>(3 * vocabulary, 1, 5.0);
      std::vector<std::int32_t> const targets{0, static_cast<std::int32_t>(vocabulary) - 1,
                                              static_cast<std::int32_t>(vocabulary) / 2};
      auto const before = mpx_test::as_double(logits);
      A loss = -1;
      row_operations::cross_entropy(&loss, logits.data(), targets.data(), 3, vocabulary, A(smoothing), A(1), false);
      REQUIRE(loss == Approx(naive(before, targets, vocabulary, smoothing)).epsilon(2e-6).margin(2e-6));
      REQUIRE(mpx_test::as_double(logits) == before);  // untouched without a gradient
    }
}

TEST_CASE("the gradient is the derivative of the loss, scaled", "[kernels][cross_entropy]") {
  for (std::size_t const vocabulary : mpx_test::widths)
    for (double const smoothing : {0.0, 0.1}) {
      auto logits = numbers<double>(2 * vocabulary, 2, 3.0);
      std::vector<std::int32_t> const targets{static_cast<std::int32_t>(vocabulary) / 2, 0};
      auto gradient = logits;
      double loss = 0;
      row_operations::cross_entropy(&loss, gradient.data(), targets.data(), 2, vocabulary, smoothing, 4.0, true);
      auto const at = [&] {
        double value = 0;
        row_operations::cross_entropy(&value, logits.data(), targets.data(), 2, vocabulary, smoothing, 1.0, false);
        return value;
      };
      for (std::size_t i = 0; i < logits.size(); ++i)
        REQUIRE(gradient[i] == Approx(4 * mpx_test::slope(logits, i, at)).epsilon(1e-7).margin(1e-8));
    }
}

TEST_CASE("padding costs nothing and has no gradient", "[kernels][cross_entropy]") {
  std::size_t const vocabulary = 5;
  auto const both = numbers<float>(2 * vocabulary, 3);
  std::vector<float> with = both, alone(both.begin(), both.begin() + vocabulary);
  std::vector<std::int32_t> const targets{2, -1};
  float loss_with = 0, loss_alone = 0;
  row_operations::cross_entropy(&loss_with, with.data(), targets.data(), 2, vocabulary, 0.1f, 1.0f, true);
  row_operations::cross_entropy(&loss_alone, alone.data(), targets.data(), 1, vocabulary, 0.1f, 1.0f, true);
  CHECK(loss_with == loss_alone);
  for (std::size_t c = 0; c < vocabulary; ++c) {
    CHECK(with[c] == alone[c]);
    CHECK(with[vocabulary + c] == 0.0f);
  }
}

TEST_CASE("a row's gradient sums to zero", "[kernels][cross_entropy]") {
  for (std::size_t const vocabulary : mpx_test::widths) {
    auto logits = numbers<double>(vocabulary, 4, 10.0);
    std::int32_t const target = 0;
    double loss = 0, sum = 0;
    row_operations::cross_entropy(&loss, logits.data(), &target, 1, vocabulary, 0.2, 1.0, true);
    for (double const value : logits) sum += value;
    CHECK(sum == Approx(0).margin(1e-14));
  }
}

TEMPLATE_TEST_CASE("logits of +-10000 stay finite", "[kernels][cross_entropy]", float, double, mpx::bf16, mpx::f16) {
  using A = mpx::accumulator_t<TestType>;
  std::vector<TestType> logits(20, TestType(A(-1e4)));
  logits[3] = TestType(A(1e4));
  for (std::int32_t const target : {3, 4}) {
    auto row = logits;
    A loss = 0;
    row_operations::cross_entropy(&loss, row.data(), &target, 1, 20, A(0.1), A(1), true);
    REQUIRE(std::isfinite(loss));
    REQUIRE(loss == Approx(target == 3 ? 0.1 * 19 / 20 * 2e4 : 0.9 * 2e4 + 0.1 * 19 / 20 * 2e4).epsilon(0.01));
    for (TestType const value : row) REQUIRE(std::isfinite(static_cast<A>(value)));
  }
}

TEST_CASE("no rows cost nothing", "[kernels][cross_entropy]") {
  float loss = 7;
  row_operations::cross_entropy(&loss, static_cast<float*>(nullptr), nullptr, 0, 10, 0.0f, 1.0f, true);
  CHECK(loss == 0.0f);
}
