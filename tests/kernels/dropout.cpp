#include <mpx/kernels/dropout.hpp>

#include <cstring>
#include <vector>

#include <mpx/host/rows.hpp>
#include <mpx_test.hpp>

#include "numbers.hpp"

using mpx::dropout_draw;
using mpx::on_host::row_operations;

namespace {

constexpr mpx::kernels::random_words first = mpx::kernels::philox_words({1, 2, 3, 4}, 0x0123456789abcdefull);
constexpr mpx::random_counter same = mpx::philox({1, 2, 3, 4}, 0x0123456789abcdefull);
static_assert(first.a == same[0] && first.b == same[1] && first.c == same[2] && first.d == same[3]);

// The rate that is drawn is the nearest of 65536 ones, never all of them, and what stays makes up for it exactly.
static_assert(dropout_draw{.rate = 0.25f}.dropped() == 0x4000 && dropout_draw{.rate = 0.25f}.factor<double>() == 1 / 0.75);
static_assert(dropout_draw{.rate = 0.1f}.dropped() == 6554 && dropout_draw{.rate = 0.1f}.factor<double>() == 65536.0 / (65536 - 6554));
static_assert(dropout_draw{.rate = 0.0f}.dropped() == 0 && dropout_draw{.rate = 0.0f}.factor<float>() == 1.0f);
static_assert(dropout_draw{.rate = 0.99999999f}.dropped() == 65535);

constexpr dropout_draw draw{.key = 99, .step = 7, .first_sequence = 5, .rate = 0.25f};

}  // namespace

TEMPLATE_TEST_CASE("dropout keeps an element iff its word says so, and divides it by 1 - rate", "[kernels][dropout]",
                   float, double, mpx::bf16, mpx::f16) {
  using A = mpx::accumulator_t<TestType>;
  for (std::size_t const width : {1, 2, 3, 4, 5, 15, 16, 17, 31, 33, 64, 67, 128, 255, 256, 257, 600}) {
    std::size_t const sequences = 2, tokens = 3;
    auto const x = mpx_test::numbers<TestType>(sequences * tokens * width, 1);
    std::vector<TestType> y(x.size());
    row_operations::dropout(y.data(), x.data(), draw, sequences, tokens, width);
    for (std::size_t i = 0; i < x.size(); ++i) {
      auto const channel = static_cast<std::uint32_t>(i % width);
      auto const token = static_cast<std::uint32_t>(i / width % tokens);
      auto const sequence = static_cast<std::uint32_t>(i / width / tokens);
      auto const word = mpx::philox({channel / 8, token, 5 + sequence, 7}, 99)[channel / 2 % 4];
      bool const kept = (channel % 2 == 0 ? word & 0xffff : word >> 16) >= 0x4000;
      A const factor = A(1) / A(0.75);
      REQUIRE(static_cast<A>(y[i]) == (kept ? static_cast<A>(TestType(static_cast<A>(x[i]) * factor)) : A(0)));
    }
  }
}

TEST_CASE("a sequence has the same mask in any microbatch and with any padding", "[kernels][dropout]") {
  std::size_t const width = 10;
  std::vector<float> const ones(4 * 6 * width, 1.0f);
  std::vector<float> whole(4 * 6 * width), alone(3 * width);
  row_operations::dropout(whole.data(), ones.data(), draw, 4, 6, width);  // sequences 5 to 8, padded to 6 tokens

  dropout_draw later = draw;
  later.first_sequence = 7;
  row_operations::dropout(alone.data(), ones.data(), later, 1, 3, width);  // sequence 7 alone, unpadded
  for (std::size_t i = 0; i < alone.size(); ++i) REQUIRE(alone[i] == whole[2 * 6 * width + i]);

  later.first_token = 2;  // and its tokens 2 to 4 alone
  row_operations::dropout(alone.data(), ones.data(), later, 1, 3, width);
  for (std::size_t i = 0; i < alone.size(); ++i) REQUIRE(alone[i] == whole[(2 * 6 + 2) * width + i]);
}

TEST_CASE("steps, keys and sequences have masks of their own", "[kernels][dropout]") {
  std::vector<float> const ones(256, 1.0f);
  auto const mask = [&](dropout_draw d) {
    std::vector<float> y(256);
    row_operations::dropout(y.data(), ones.data(), d, 1, 1, 256);
    return y;
  };
  auto const usual = mask(draw);
  dropout_draw step = draw, key = draw, sequence = draw;
  step.step += 1;
  key.key += 1ull << 40;  // the upper half of the key counts too
  sequence.first_sequence += 1;
  CHECK(mask(draw) == usual);
  CHECK(mask(step) != usual);
  CHECK(mask(key) != usual);
  CHECK(mask(sequence) != usual);
}

TEST_CASE("dropout keeps a share of 1 - rate, and the mean", "[kernels][dropout]") {
  std::size_t const n = 100000;
  std::vector<float> const ones(n, 1.0f);
  std::vector<float> y(n);
  for (float const rate : {0.1f, 0.5f, 0.9f}) {
    dropout_draw d = draw;
    d.rate = rate;
    row_operations::dropout(y.data(), ones.data(), d, 1, 100, 1000);
    double kept = 0, sum = 0;
    for (float const value : y) {
      kept += value != 0.0f;
      sum += value;
    }
    // The share's deviation is at most 0.5 / sqrt(n) = 0.0016; four of them are allowed.
    CHECK(kept / n == Approx(1 - rate).margin(0.0064));
    CHECK(sum / n == Approx(1).margin(0.0064 / (1 - rate)));
  }
}

TEST_CASE("dropout is linear: its backward is itself", "[kernels][dropout]") {
  auto x = mpx_test::numbers<double>(2 * 9, 2);
  auto const dy = mpx_test::numbers<double>(2 * 9, 3);
  std::vector<double> y(x.size()), dx(x.size());
  auto const loss = [&] {
    row_operations::dropout(y.data(), x.data(), draw, 1, 2, 9);
    return mpx_test::dot(y, dy);
  };
  row_operations::dropout(dx.data(), dy.data(), draw, 1, 2, 9);
  for (std::size_t i = 0; i < x.size(); ++i)
    REQUIRE(dx[i] == Approx(mpx_test::slope(x, i, loss)).epsilon(1e-9).margin(1e-9));
}

TEST_CASE("dropout in place is dropout", "[kernels][dropout]") {
  for (std::size_t const width : mpx_test::widths) {
    auto x = mpx_test::numbers<mpx::bf16>(3 * width, 4);
    std::vector<mpx::bf16> y(x.size());
    row_operations::dropout(y.data(), x.data(), draw, 1, 3, width);
    row_operations::dropout(x.data(), x.data(), draw, 1, 3, width);
    for (std::size_t i = 0; i < x.size(); ++i) REQUIRE(x[i].bits == y[i].bits);
  }
}

TEMPLATE_TEST_CASE("relu_dropout is dropout behind relu, forward and backward", "[kernels][dropout]", float, double, mpx::bf16, mpx::f16) {
  using A = mpx::accumulator_t<TestType>;
  std::size_t const sequences = 2, tokens = 3;
  for (std::size_t const width : {1, 7, 8, 9, 64, 67})
    for (float const rate : {0.0f, 0.25f, 0.1f}) {
      dropout_draw d = draw;
      d.rate = rate;
      auto const x = mpx_test::numbers<TestType>(sequences * tokens * width, 7), dy = mpx_test::numbers<TestType>(x.size(), 8);
      std::vector<TestType> y(x.size()), dx(x.size()), one(x.size()), other(x.size());
      row_operations::relu_dropout(y.data(), x.data(), d, sequences, tokens, width);
      row_operations::activation_forward<mpx::relu>(one.data(), x.data(), x.size());
      row_operations::dropout(other.data(), one.data(), d, sequences, tokens, width);
      REQUIRE(std::memcmp(y.data(), other.data(), y.size() * sizeof(TestType)) == 0);
      row_operations::relu_dropout_backward(dx.data(), dy.data(), y.data(), d.factor<A>(), x.size());
      row_operations::dropout(one.data(), dy.data(), d, sequences, tokens, width);
      row_operations::activation_backward<mpx::relu>(other.data(), one.data(), x.data(), x.size());
      for (std::size_t i = 0; i < x.size(); ++i) REQUIRE(static_cast<A>(dx[i]) == static_cast<A>(other[i]));
    }
}

TEST_CASE("a rate of 0 copies every bit", "[kernels][dropout]") {
  auto const x = mpx_test::numbers<float>(30, 5);
  std::vector<float> y(30);
  row_operations::dropout(y.data(), x.data(), dropout_draw{.key = 1}, 2, 3, 5);
  CHECK(y == x);
}

TEMPLATE_TEST_CASE("a slice of the channels has the whole's mask, wherever it begins", "[kernels][dropout]", float,
                   double, mpx::bf16, mpx::f16) {
  std::size_t const channels = 40, sequences = 2, tokens = 3, rows = sequences * tokens;
  auto const x = mpx_test::numbers<TestType>(rows * channels, 6);
  std::vector<TestType> whole(x.size());
  row_operations::dropout(whole.data(), x.data(), draw, sequences, tokens, channels);
  for (std::uint32_t const begin : {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16})
    for (std::size_t const width : {1, 2, 3, 4, 5, 7, 8, 9, 20, 24}) {
      std::vector<TestType> part, expected, y(rows * width);
      for (std::size_t i = 0; i < rows * width; ++i) {
        part.push_back(x[i / width * channels + begin + i % width]);
        expected.push_back(whole[i / width * channels + begin + i % width]);
      }
      dropout_draw slice = draw;
      slice.first_channel = begin;
      row_operations::dropout(y.data(), part.data(), slice, sequences, tokens, width);
      INFO("channels from " << begin << ", " << width << " of them");
      REQUIRE(std::memcmp(y.data(), expected.data(), y.size() * sizeof(TestType)) == 0);
      row_operations::dropout(part.data(), part.data(), slice, sequences, tokens, width);
      REQUIRE(std::memcmp(part.data(), expected.data(), y.size() * sizeof(TestType)) == 0);
    }
}
