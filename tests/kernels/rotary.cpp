#include <mpx/kernels/rotary.hpp>

#include <cmath>
#include <cstddef>
#include <vector>

#include <mpx/host/rows.hpp>
#include <mpx_test.hpp>

#include "numbers.hpp"

using mpx::on_host::row_operations;
using mpx_test::numbers;

TEST_CASE("a token's columns turn by its position, later pairs slower", "[kernels][rotary]") {
  std::vector<double> x;
  for (int t = 0; t < 4; ++t) x.insert(x.end(), {1, 0, 0, 1});  // one head of four columns
  row_operations::rotary({.sequences = 1, .tokens = 4, .heads = 1, .head_width = 4, .stride = 4}, x.data());
  for (int t = 0; t < 4; ++t) {
    double const* const row = x.data() + 4 * t;
    CHECK(row[0] == Approx(std::cos(t)));
    CHECK(row[1] == Approx(std::sin(t)).margin(1e-15));
    CHECK(row[2] == Approx(-std::sin(t / 100.0)).margin(1e-15));  // 10000^(-2/4) = 1/100
    CHECK(row[3] == Approx(std::cos(t / 100.0)));
  }
}

TEST_CASE("columns behind the heads stay as they are", "[kernels][rotary]") {
  auto const before = numbers<float>(2 * 3 * 7, 1);
  auto x = before;
  row_operations::rotary({.sequences = 2, .tokens = 3, .heads = 2, .head_width = 2, .stride = 7}, x.data());
  for (std::size_t i = 0; i < x.size(); ++i) {
    bool const first_token = i / 7 % 3 == 0;
    CHECK((x[i] == before[i]) == (first_token || i % 7 >= 4));
  }
}

TEST_CASE("the product of two turned heads depends on their distance alone", "[kernels][rotary]") {
  constexpr std::size_t tokens = 40, width = 16;
  auto const q = numbers<double>(width, 1), k = numbers<double>(width, 2);
  std::vector<double> queries, keys;
  for (std::size_t t = 0; t < tokens; ++t) {
    queries.insert(queries.end(), q.begin(), q.end());
    keys.insert(keys.end(), k.begin(), k.end());
  }
  mpx::rotary_shape const shape{.sequences = 1, .tokens = tokens, .heads = 1, .head_width = width, .stride = width};
  row_operations::rotary(shape, queries.data());
  row_operations::rotary(shape, keys.data());
  auto const score = [&](std::size_t of, std::size_t at) {
    double sum = 0;
    for (std::size_t c = 0; c < width; ++c) sum += queries[of * width + c] * keys[at * width + c];
    return sum;
  };
  for (std::size_t t = 5; t < tokens; ++t) CHECK(score(t, t - 5) == Approx(score(5, 0)).epsilon(1e-12));
  CHECK(score(5, 0) != Approx(score(6, 0)).epsilon(1e-3));
}

TEST_CASE("after ten thousand tokens the angles are still exact", "[kernels][rotary]") {
  constexpr std::size_t tokens = 10'001;
  std::vector<double> x(tokens * 2, 0.0);
  for (std::size_t t = 0; t < tokens; ++t) x[2 * t] = 1;
  row_operations::rotary({.sequences = 1, .tokens = tokens, .heads = 1, .head_width = 2, .stride = 2}, x.data());
  CHECK(x[20'000] == Approx(std::cos(10'000.0)).margin(1e-11));
  CHECK(x[20'001] == Approx(std::sin(10'000.0)).margin(1e-11));
}

TEMPLATE_TEST_CASE("turning back undoes turning, in every type", "[kernels][rotary]", float, double, mpx::bf16,
                   mpx::f16) {
  using A = mpx::accumulator_t<TestType>;
  for (std::size_t const head_width : {2u, 6u, 32u, 256u}) {
    mpx::rotary_shape shape{
        .sequences = 2, .tokens = 5, .heads = 3, .head_width = head_width, .stride = 3 * head_width};
    auto const before = numbers<TestType>(2 * 5 * shape.stride, 1);
    auto x = before;
    row_operations::rotary(shape, x.data());
    shape.back = true;
    row_operations::rotary(shape, x.data());
    // Both turns round each column, of size 1 at most, once.
    double const allowed = sizeof(TestType) == 2 ? 1.0 / 64 : 1e-6;
    for (std::size_t i = 0; i < x.size(); ++i)
      REQUIRE(static_cast<A>(x[i]) == Approx(static_cast<A>(before[i])).margin(allowed));
  }
}
