#include <mpx/kernels/norm.hpp>

#include <cmath>
#include <vector>

#include <mpx/host/rows.hpp>
#include <mpx_test.hpp>

#include "numbers.hpp"

using mpx::on_host::row_operations;
using mpx_test::as_double;
using mpx_test::numbers;
using mpx_test::widths;
using vector = std::vector<double>;

namespace {

constexpr std::size_t rows = 3;

/// (x - mean) / deviation of each row, in f64; without a mean it is x / rms.
vector normalised(vector const& x, std::size_t width, bool centred) {
  vector y(x.size());
  for (std::size_t r = 0; r < x.size() / width; ++r) {
    double mean = 0, square = 0;
    for (std::size_t c = 0; c < width; ++c) mean += centred ? x[r * width + c] / static_cast<double>(width) : 0.0;
    for (std::size_t c = 0; c < width; ++c) square += std::pow(x[r * width + c] - mean, 2);
    for (std::size_t c = 0; c < width; ++c)
      y[r * width + c] = (x[r * width + c] - mean) / std::sqrt(square / static_cast<double>(width) + 1e-5);
  }
  return y;
}

/// What the result may be off by, when values are about 1 in size.
template <class T>
double const allowed = std::is_same_v<T, mpx::bf16>  ? 2e-2
                       : std::is_same_v<T, mpx::f16> ? 3e-3
                                                     : 3e-6;

}  // namespace

TEMPLATE_TEST_CASE("layer_norm is (x - mean) / deviation * weight + bias", "[kernels][norm]", float, mpx::bf16,
                   mpx::f16) {
  for (std::size_t const width : widths) {
    auto const x = numbers<TestType>(rows * width, 1, 3.0), weight = numbers<TestType>(width, 2),
               bias = numbers<TestType>(width, 3);
    std::vector<TestType> y(rows * width);
    std::vector<float> mean(rows), rstd(rows);
    row_operations::layer_norm_forward(y.data(), mean.data(), rstd.data(), x.data(), weight.data(), bias.data(), rows,
                                       width);
    auto const wanted = normalised(as_double(x), width, true);
    for (std::size_t i = 0; i < y.size(); ++i) {
      double const exact =
          wanted[i] * static_cast<float>(weight[i % width]) + static_cast<double>(static_cast<float>(bias[i % width]));
      REQUIRE(static_cast<double>(y[i]) == Approx(exact).margin(allowed<TestType>));
    }
  }
}

TEMPLATE_TEST_CASE("rms_norm is x / root mean square * weight", "[kernels][norm]", float, mpx::bf16, mpx::f16) {
  for (std::size_t const width : widths) {
    auto const x = numbers<TestType>(rows * width, 4, 3.0), weight = numbers<TestType>(width, 5);
    std::vector<TestType> y(rows * width);
    std::vector<float> rstd(rows);
    row_operations::rms_norm_forward(y.data(), rstd.data(), x.data(), weight.data(), rows, width);
    auto const wanted = normalised(as_double(x), width, false);
    for (std::size_t i = 0; i < y.size(); ++i)
      REQUIRE(static_cast<double>(y[i]) ==
              Approx(wanted[i] * static_cast<float>(weight[i % width])).margin(allowed<TestType>));
  }
}

TEST_CASE("layer_norm of (1, 3) is (-1, 1), its mean 2 and its deviation 1", "[kernels][norm]") {
  double const x[] = {1, 3}, weight[] = {1, 1}, bias[] = {0, 0};
  double y[2], mean, rstd;
  row_operations::layer_norm_forward(y, &mean, &rstd, x, weight, bias, 1, 2);
  CHECK(mean == 2.0);
  CHECK(rstd == Approx(1.0).epsilon(1e-5));
  CHECK(y[0] == Approx(-1.0).epsilon(1e-5));
  CHECK(y[1] == Approx(1.0).epsilon(1e-5));
}

TEST_CASE("a constant row has deviation 0 and becomes the bias", "[kernels][norm]") {
  std::vector<float> const x(17, 1000.0f), weight(17, 2.0f), bias(17, 0.5f);
  std::vector<float> y(17);
  float mean, rstd;
  row_operations::layer_norm_forward(y.data(), &mean, &rstd, x.data(), weight.data(), bias.data(), 1, 17);
  for (float const value : y) CHECK(value == Approx(0.5).margin(0.05));
}

TEST_CASE("layer_norm's backward is the derivative of its forward", "[kernels][norm]") {
  for (std::size_t const width : widths) {
    auto x = numbers<double>(rows * width, 6, 2.0), weight = numbers<double>(width, 7),
         bias = numbers<double>(width, 8);
    auto const dy = numbers<double>(rows * width, 9);
    vector y(x.size()), mean(rows), rstd(rows), dx(x.size()), dweight(width, 1.0), dbias(width, 2.0);
    auto const loss = [&] {
      row_operations::layer_norm_forward(y.data(), mean.data(), rstd.data(), x.data(), weight.data(), bias.data(), rows,
                                         width);
      return mpx_test::dot(y, dy);
    };
    loss();
    row_operations::layer_norm_backward(dx.data(), dweight.data(), dbias.data(), dy.data(), x.data(), mean.data(),
                                        rstd.data(), weight.data(), rows, width);
    for (std::size_t i = 0; i < x.size(); ++i)
      REQUIRE(dx[i] == Approx(mpx_test::slope(x, i, loss)).epsilon(1e-6).margin(1e-6));
    // Parameter gradients are added to what was there.
    for (std::size_t c = 0; c < width; ++c) {
      REQUIRE(dweight[c] == Approx(1.0 + mpx_test::slope(weight, c, loss)).epsilon(1e-6));
      REQUIRE(dbias[c] == Approx(2.0 + mpx_test::slope(bias, c, loss)).epsilon(1e-6));
    }
  }
}

TEST_CASE("rms_norm's backward is the derivative of its forward", "[kernels][norm]") {
  for (std::size_t const width : widths) {
    auto x = numbers<double>(rows * width, 10, 2.0), weight = numbers<double>(width, 11);
    auto const dy = numbers<double>(rows * width, 12);
    vector y(x.size()), rstd(rows), dx(x.size()), dweight(width, 1.0);
    auto const loss = [&] {
      row_operations::rms_norm_forward(y.data(), rstd.data(), x.data(), weight.data(), rows, width);
      return mpx_test::dot(y, dy);
    };
    loss();
    row_operations::rms_norm_backward(dx.data(), dweight.data(), dy.data(), x.data(), rstd.data(), weight.data(), rows,
                                      width);
    for (std::size_t i = 0; i < x.size(); ++i)
      REQUIRE(dx[i] == Approx(mpx_test::slope(x, i, loss)).epsilon(1e-6).margin(1e-6));
    for (std::size_t c = 0; c < width; ++c)
      REQUIRE(dweight[c] == Approx(1.0 + mpx_test::slope(weight, c, loss)).epsilon(1e-6));
  }
}

TEMPLATE_TEST_CASE("norm gradients in short types follow f64's", "[kernels][norm]", float, mpx::bf16, mpx::f16) {
  std::size_t const width = 33;
  auto const x = numbers<TestType>(rows * width, 13), dy = numbers<TestType>(rows * width, 14),
             weight = numbers<TestType>(width, 15);
  std::vector<TestType> y(x.size()), dx(x.size());
  std::vector<float> mean(rows), rstd(rows), dweight(width), dbias(width);
  row_operations::layer_norm_forward(y.data(), mean.data(), rstd.data(), x.data(), weight.data(), weight.data(), rows,
                                     width);
  row_operations::layer_norm_backward(dx.data(), dweight.data(), dbias.data(), dy.data(), x.data(), mean.data(),
                                      rstd.data(), weight.data(), rows, width);

  auto const x64 = as_double(x), dy64 = as_double(dy), weight64 = as_double(weight);
  vector y64(x.size()), dx64(x.size()), mean64(rows), rstd64(rows), dweight64(width), dbias64(width);
  row_operations::layer_norm_forward(y64.data(), mean64.data(), rstd64.data(), x64.data(), weight64.data(),
                                     weight64.data(), rows, width);
  row_operations::layer_norm_backward(dx64.data(), dweight64.data(), dbias64.data(), dy64.data(), x64.data(),
                                      mean64.data(), rstd64.data(), weight64.data(), rows, width);
  for (std::size_t i = 0; i < x.size(); ++i)
    REQUIRE(static_cast<double>(dx[i]) == Approx(dx64[i]).margin(allowed<TestType>));
  for (std::size_t c = 0; c < width; ++c) {
    REQUIRE(dweight[c] == Approx(dweight64[c]).margin(1e-5));
    REQUIRE(dbias[c] == Approx(dbias64[c]).margin(1e-5));
  }
}
