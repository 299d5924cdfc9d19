#include <mpx/kernels/cross_entropy.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
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

/// What tensor ranks make of rows of logits, each with its slice of the vocabulary: maxima, sums, losses, gradients.
template <class T>
struct in_slices {
  using A = mpx::accumulator_t<T>;
  std::vector<A> high, sums;  ///< [rows], [3, rows]: of all slices
  std::vector<A> losses;      ///< of each rank
  std::vector<T> logits;      ///< [rows, vocabulary], put together again

  in_slices(std::vector<T> const& whole, std::vector<std::int32_t> const& targets, std::size_t slices, A smoothing,
            A scale, bool with_gradient)
      : high(targets.size(), -std::numeric_limits<A>::infinity()),
        sums(3 * targets.size()),
        losses(slices, A(-1)),
        logits(whole.size()) {
    std::size_t const rows = targets.size(), vocabulary = whole.size() / rows, count = vocabulary / slices;
    auto const slice = [&](std::size_t s) { return mpx::id_slice{s * count, count}; };
    std::vector<std::vector<T>> ranks(slices);
    for (std::size_t s = 0; s < slices; ++s)
      for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t c = 0; c < count; ++c) ranks[s].push_back(whole[r * vocabulary + s * count + c]);

    std::vector<A> own(3 * rows);
    for (auto const& rank : ranks) {
      row_operations::row_maxima(own.data(), rank.data(), rows, count);
      for (std::size_t r = 0; r < rows; ++r) high[r] = std::max(high[r], own[r]);
    }
    for (std::size_t s = 0; s < slices; ++s) {
      row_operations::cross_entropy_sums(own.data(), ranks[s].data(), high.data(), targets.data(), rows, slice(s), true);
      for (std::size_t i = 0; i < 3 * rows; ++i) sums[i] += own[i];
    }
    for (std::size_t s = 0; s < slices; ++s) {
      row_operations::cross_entropy_slice(&losses[s], ranks[s].data(), high.data(), sums.data(), targets.data(), rows,
                                          vocabulary, slice(s), smoothing, scale, with_gradient);
      for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t c = 0; c < count; ++c) logits[r * vocabulary + s * count + c] = ranks[s][r * count + c];
    }
  }
};

/// Half the distance between 1 and the next number of T.
template <class T>
constexpr double unit = std::is_same_v<T, double>      ? 0x1p-53
                        : std::is_same_v<T, float>     ? 0x1p-24
                        : std::is_same_v<T, mpx::f16> ? 0x1p-11
                                                      : 0x1p-8;

/// How far the loss and the gradients of slices may be from the whole's: the same terms, added in another order. In 16
/// partial sums a term passes through n / 16 + 5 additions at most, and each rounds by u of its result at most; slices
/// take as many more as there are. Sums of terms of one sign are off by no more than u for each addition, on both
/// sides; the logarithm makes the relative error of its sum an absolute one. Whatever else is done to a number, on both
/// sides, is at most 8 roundings. Gradients of 16 bits may be rounded to neighbours.
struct bounds {
  double loss = 0;
  std::vector<double> gradients;

  template <class T>
  bounds(std::vector<T> const& logits, std::vector<std::int32_t> const& targets, std::size_t slices, double smoothing,
         double scale) {
    constexpr double u = unit<mpx::accumulator_t<T>>;
    std::size_t const vocabulary = logits.size() / targets.size();
    auto const additions = [](std::size_t n) { return static_cast<double>(n / 16 + 5); };
    double const order = additions(vocabulary) + additions(vocabulary / slices) + static_cast<double>(slices);
    auto const values = mpx_test::as_double(logits);
    for (std::size_t r = 0; r < targets.size(); ++r) {
      double const* const row = values.data() + r * vocabulary;
      double const high = *std::max_element(row, row + vocabulary);
      double total = 0, all = 0;
      for (std::size_t c = 0; c < vocabulary; ++c) total += std::exp(row[c] - high), all += high - row[c];
      double const each = smoothing / static_cast<double>(vocabulary);
      double const at_label = targets[r] < 0 ? 0 : (1 - smoothing) * (high - row[targets[r]]);
      double const whole = std::log(total) + at_label + each * all;
      double const added_up = 2 * static_cast<double>(targets.size()) * whole;  // to the other rows' losses
      if (targets[r] >= 0) loss += u * (order * (1 + each * all) + 8 * whole + added_up);
      for (std::size_t c = 0; c < vocabulary; ++c) {
        double const p = std::exp(row[c] - high) / total;
        double const q = each + (static_cast<std::int32_t>(c) == targets[r] ? 1 - smoothing : 0);
        double const stored = sizeof(T) == 2 ? 2 * unit<T> * std::abs(p - q) + 0x1p-24 : 0;
        gradients.push_back(targets[r] < 0 ? 0 : scale * (u * ((order + 8) * p + 8 * q) + stored));
      }
    }
  }
};

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

TEST_CASE("two slices of a row have the sums of the row", "[kernels][cross_entropy]") {
  // Weights 1, 2 | 3, 2 of a softmax, the label being the largest: 3 of 8.
  float logits[] = {0.0f, std::log(2.0f), std::log(3.0f), std::log(2.0f)};
  float const high = logits[2];
  auto const sums = [&](mpx::id_slice mine) {
    return mpx::kernels::cross_entropy_sums_row(mpx::on_host::lanes{}, logits + mine.first, high, 2, mine, true);
  };
  auto const left = sums({0, 2}), right = sums({2, 2});
  CHECK(left.total == Approx(1.0));       // (1 + 2) / 3
  CHECK(right.total == Approx(5.0 / 3));  // (3 + 2) / 3
  CHECK(left.all == Approx(std::log(2.0 / 9)));
  CHECK(right.all == Approx(std::log(2.0 / 3)));
  // The label's logit comes from its own slice alone.
  auto const at_label = [&](std::int32_t target, mpx::id_slice mine) {
    mpx::on_host::lanes const along;
    return mpx::kernels::cross_entropy_sums_row(along, logits + mine.first, high, target, mine, true).at_label;
  };
  CHECK(at_label(1, {0, 2}) == Approx(std::log(2.0 / 3)));
  CHECK(at_label(1, {2, 2}) == 0.0f);
  CHECK(at_label(3, {0, 2}) == 0.0f);
  CHECK(at_label(3, {2, 2}) == Approx(std::log(2.0 / 3)));

  mpx::kernels::cross_entropy_parts<float> const parts{left.total + right.total, 0.0f, left.all + right.all};
  for (std::size_t const first : {0u, 2u})
    CHECK(mpx::kernels::cross_entropy_slice_row(mpx::on_host::lanes{}, logits + first, high, parts, 2, 4, {first, 2},
                                                0.0f, 8.0f, true) == Approx(std::log(8.0 / 3)));
  // Eight times p - q.
  CHECK(logits[0] == Approx(1));
  CHECK(logits[1] == Approx(2));
  CHECK(logits[2] == Approx(3 - 8));
  CHECK(logits[3] == Approx(2));
}

TEMPLATE_TEST_CASE("slices of the vocabulary have the whole's loss and gradient, within rounding",
                   "[kernels][cross_entropy]", float, double, mpx::bf16, mpx::f16) {
  using A = mpx::accumulator_t<TestType>;
  for (std::size_t const vocabulary : {6u, 12u, 48u, 54u, 600u})
    for (std::size_t const slices : {2u, 3u})
      for (double const smoothing : {0.0, 0.1}) {
        // Labels at both ends of each slice, and padding between them.
        std::vector<std::int32_t> targets{-1};
        for (std::size_t s = 0; s < slices; ++s) {
          targets.push_back(static_cast<std::int32_t>(s * vocabulary / slices));
          targets.push_back(static_cast<std::int32_t>((s + 1) * vocabulary / slices) - 1);
          targets.push_back(-1);
        }
        auto const before = numbers<TestType>(targets.size() * vocabulary, 5, 6.0);
        bounds const allowed(before, targets, slices, smoothing, 4.0);

        auto whole = before;
        A loss = -1;
        row_operations::cross_entropy(&loss, whole.data(), targets.data(), targets.size(), vocabulary, A(smoothing),
                                      A(4), true);
        in_slices<TestType> const ranks(before, targets, slices, A(smoothing), A(4), true);
        INFO(vocabulary << " tokens in " << slices << " slices, smoothing " << smoothing);
        for (A const one : ranks.losses) {
          REQUIRE(one == ranks.losses[0]);
          REQUIRE(std::abs(static_cast<double>(one) - static_cast<double>(loss)) <= allowed.loss);
        }
        for (std::size_t i = 0; i < before.size(); ++i) {
          auto const difference = static_cast<double>(ranks.logits[i]) - static_cast<double>(whole[i]);
          if (std::abs(difference) > allowed.gradients[i])
            FAIL("gradient " << i << " is off by " << difference << " of " << allowed.gradients[i]);
        }
      }
}

TEMPLATE_TEST_CASE("one slice that is the vocabulary has the same bits as the whole", "[kernels][cross_entropy]", float,
                   double, mpx::bf16, mpx::f16) {
  using A = mpx::accumulator_t<TestType>;
  for (std::size_t const vocabulary : mpx_test::widths) {
    std::vector<std::int32_t> const targets{0, -1, static_cast<std::int32_t>(vocabulary) - 1};
    auto const before = numbers<TestType>(3 * vocabulary, 6, 6.0);
    auto whole = before;
    A loss = -1;
    row_operations::cross_entropy(&loss, whole.data(), targets.data(), 3, vocabulary, A(0.1), A(4), true);
    in_slices<TestType> const alone(before, targets, 1, A(0.1), A(4), true);
    REQUIRE(alone.losses[0] == loss);
    REQUIRE(mpx_test::as_double(alone.logits) == mpx_test::as_double(whole));
  }
}

TEST_CASE("slices without a gradient leave the logits alone; padding is in no sum", "[kernels][cross_entropy]") {
  std::vector<std::int32_t> const targets{-1, 3};
  auto const before = numbers<float>(2 * 6, 7, 6.0);
  in_slices<float> const ranks(before, targets, 2, 0.1f, 4.0f, false);
  CHECK(ranks.logits == before);
  CHECK(ranks.high[0] == *std::max_element(before.begin(), before.begin() + 6));
  CHECK(ranks.high[1] == *std::max_element(before.begin() + 6, before.end()));
  CHECK((ranks.sums[0] == 0 && ranks.sums[2] == 0 && ranks.sums[4] == 0));
  CHECK(ranks.sums[1] > 1);
  CHECK(ranks.sums[3] == before[6 + 3] - ranks.high[1]);

  in_slices<float> const gradients(before, targets, 2, 0.1f, 4.0f, true);
  CHECK(std::all_of(gradients.logits.begin(), gradients.logits.begin() + 6, [](float g) { return g == 0; }));
}

TEMPLATE_TEST_CASE("row_maxima finds the largest of each row, wherever it stands", "[kernels][cross_entropy]", float,
                   double, mpx::bf16, mpx::f16) {
  using A = mpx::accumulator_t<TestType>;
  for (std::size_t const width : mpx_test::widths) {
    std::vector<TestType> x(width * width, TestType(A(-8)));
    for (std::size_t r = 0; r < width; ++r) x[r * width + r] = TestType(A(-7) + A(r % 4));
    std::vector<A> high(width, A(99));
    row_operations::row_maxima(high.data(), x.data(), width, width);
    for (std::size_t r = 0; r < width; ++r) REQUIRE(high[r] == A(-7) + A(r % 4));
  }
}
