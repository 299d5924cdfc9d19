#include <mpx/kernels/embedding.hpp>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include <mpx/host/rows.hpp>
#include <mpx_test.hpp>

#include "numbers.hpp"

using mpx::on_host::row_operations;
using mpx_test::numbers;

TEST_CASE("embedding_forward picks rows of the table and scales them", "[kernels][embedding]") {
  float const table[] = {1, 2, 3, 4, 5, 6};  // three tokens, width 2
  std::int32_t const ids[] = {2, 0, 2};
  float y[6];
  row_operations::embedding_forward(y, table, ids, 3, 2, 10.0f);
  CHECK(std::vector<float>(y, y + 6) == std::vector<float>{50, 60, 10, 20, 50, 60});
}

TEST_CASE("embedding_backward adds each row's gradient to its token's", "[kernels][embedding]") {
  float const dy[] = {1, 2, 3, 4, 5, 6};
  std::int32_t const ids[] = {2, 0, 2};
  float dtable[] = {100, 100, 100, 100, 100, 100};
  row_operations::embedding_backward(dtable, dy, ids, 3, 2, 10.0f);
  CHECK(std::vector<float>(dtable, dtable + 6) == std::vector<float>{130, 140, 100, 100, 160, 180});
}

TEST_CASE("embedding_backward is the derivative of embedding_forward at every width", "[kernels][embedding]") {
  std::int32_t const ids[] = {1, 3, 1, 0, 1};
  for (std::size_t const width : mpx_test::widths) {
    auto table = numbers<double>(4 * width, 1);
    auto const dy = numbers<double>(5 * width, 2);
    std::vector<double> y(5 * width), dtable(4 * width, 0.0);
    row_operations::embedding_backward(dtable.data(), dy.data(), ids, 5, width, 1.5);
    auto const loss = [&] {
      row_operations::embedding_forward(y.data(), table.data(), ids, 5, width, 1.5);
      return mpx_test::dot(y, dy);
    };
    for (std::size_t i = 0; i < table.size(); ++i)
      REQUIRE(dtable[i] == Approx(mpx_test::slope(table, i, loss)).epsilon(1e-8).margin(1e-8));
  }
}

TEST_CASE("a slice of the table gives 0 for ids of others, and gains no gradient from them", "[kernels][embedding]") {
  float const table[] = {5, 6, 7, 8};  // tokens 2 and 3 of a vocabulary of 6, width 2
  std::int32_t const ids[] = {0, 2, 5, 3, 2};
  float y[10];
  row_operations::embedding_forward(y, table, ids, 5, 2, 10.0f, mpx::id_slice{2, 2});
  CHECK(std::vector<float>(y, y + 10) == std::vector<float>{0, 0, 50, 60, 0, 0, 70, 80, 50, 60});

  float const dy[] = {1, 1, 2, 3, 1, 1, 4, 5, 6, 7};
  float dtable[] = {-1, -1, 100, 100, 100, 100, -1, -1};  // the slice's four stand between those of others
  row_operations::embedding_backward(dtable + 2, dy, ids, 5, 2, 10.0f, mpx::id_slice{2, 2});
  CHECK(std::vector<float>(dtable, dtable + 8) == std::vector<float>{-1, -1, 180, 200, 140, 150, -1, -1});
}

TEMPLATE_TEST_CASE("the slices of a table add up to the whole, bit for bit", "[kernels][embedding]", float, double,
                   mpx::bf16, mpx::f16) {
  using A = mpx::accumulator_t<TestType>;
  std::size_t const vocabulary = 6;
  std::vector<std::int32_t> const ids{5, 0, 2, 3, 0, 4, 1, 2};
  for (std::size_t const slices : {1u, 2u, 3u, 6u})
    for (std::size_t const width : mpx_test::widths) {
      auto const table = numbers<TestType>(vocabulary * width, 3), dy = numbers<TestType>(ids.size() * width, 4);
      std::vector<TestType> whole(ids.size() * width), y(whole.size());
      std::vector<A> dwhole(vocabulary * width, A(1)), dtable(vocabulary * width, A(1)), sum(whole.size());
      row_operations::embedding_forward(whole.data(), table.data(), ids.data(), ids.size(), width, A(1.5));
      row_operations::embedding_backward(dwhole.data(), dy.data(), ids.data(), ids.size(), width, A(1.5));
      for (std::size_t s = 0; s < slices; ++s) {
        std::size_t const count = vocabulary / slices, at = s * count * width;
        mpx::id_slice const mine{s * count, count};
        row_operations::embedding_forward(y.data(), table.data() + at, ids.data(), ids.size(), width, A(1.5), mine);
        row_operations::embedding_backward(dtable.data() + at, dy.data(), ids.data(), ids.size(), width, A(1.5), mine);
        for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += static_cast<A>(y[i]);
      }
      INFO(slices << " slices, width " << width);
      for (std::size_t i = 0; i < sum.size(); ++i) REQUIRE(sum[i] == static_cast<A>(whole[i]));
      REQUIRE(std::memcmp(dtable.data(), dwhole.data(), dtable.size() * sizeof(A)) == 0);
    }
}

TEST_CASE("positions_forward adds the token's row to every sequence, also in place", "[kernels][embedding]") {
  float x[] = {1, 2, 3, 4, 5, 6, 7, 8};          // two sequences of two tokens, width 2
  float const table[] = {10, 20, 30, 40, 9, 9};  // three positions; the third is not used
  float y[8];
  row_operations::positions_forward(y, x, table, 2, 2, 2);
  CHECK(std::vector<float>(y, y + 8) == std::vector<float>{11, 22, 33, 44, 15, 26, 37, 48});
  row_operations::positions_forward(x, x, table, 2, 2, 2);
  CHECK(std::vector<float>(x, x + 8) == std::vector<float>(y, y + 8));
}

TEST_CASE("positions_backward sums each position over the sequences", "[kernels][embedding]") {
  float const dy[] = {1, 2, 3, 4, 5, 6, 7, 8};
  float dtable[] = {100, 100, 100, 100, 100, 100};
  row_operations::positions_backward(dtable, dy, 2, 2, 2);
  CHECK(std::vector<float>(dtable, dtable + 6) == std::vector<float>{106, 108, 110, 112, 100, 100});
}

TEMPLATE_TEST_CASE("add_bias adds one vector to every row, rounded once", "[kernels][embedding]", float, double,
                   mpx::bf16, mpx::f16) {
  using A = mpx::accumulator_t<TestType>;
  for (std::size_t const width : mpx_test::widths) {
    auto x = numbers<TestType>(5 * width, 5);
    auto const before = x, bias = numbers<TestType>(width, 6);
    row_operations::add_bias(x.data(), bias.data(), 5, width);
    for (std::size_t i = 0; i < x.size(); ++i)
      REQUIRE(static_cast<A>(x[i]) ==
              static_cast<A>(TestType(static_cast<A>(before[i]) + static_cast<A>(bias[i % width]))));
  }
}

TEST_CASE("the sinusoidal table holds sines and cosines of slowing angles", "[kernels][embedding]") {
  double table[3 * 4];
  row_operations::sinusoidal_table(table, 3, 4);
  CHECK(table[0] == 0.0);  // position 0: sin 0, cos 0, sin 0, cos 0
  CHECK(table[1] == 1.0);
  CHECK(table[2 * 4] == Approx(std::sin(2.0)));
  CHECK(table[2 * 4 + 1] == Approx(std::cos(2.0)));
  CHECK(table[2 * 4 + 2] == Approx(std::sin(0.02)));  // 10000^(2/4) = 100
  CHECK(table[2 * 4 + 3] == Approx(std::cos(0.02)));
  mpx::bf16 rounded[3 * 4];
  row_operations::sinusoidal_table(rounded, 3, 4);
  CHECK(rounded[2 * 4].bits == mpx::bf16(static_cast<float>(std::sin(2.0))).bits);
}
