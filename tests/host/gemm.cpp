#include <mpx_test.hpp>

#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include <mpx/core/random.hpp>
#include <mpx/host/gemm.hpp>

#include "support/count_allocations.hpp"

using mpx::bf16;
using mpx::f16;
using mpx::gemm_shape;

static_assert(!std::is_copy_constructible_v<mpx::on_host::gemm>);

namespace {

/// Multiples of 1/8 in [-1, 1): exact in every type, and so are their products.
template <class T>
std::vector<T> values(std::size_t n, unsigned stream) {
  std::vector<T> out;
  for (unsigned i = 0; i < n; ++i) {
    auto const word = mpx::philox({i, stream, 0, 0}, 7)[0];
    out.push_back(T((static_cast<float>(word % 16) - 8.0f) / 8.0f));
  }
  return out;
}

/// The definition, in f64.
template <class T, class U>
std::vector<double> expected(gemm_shape const& s, std::vector<T> const& a, std::vector<T> const& b,
                             std::vector<U> const& c, T const* bias) {
  std::vector<double> out(s.m * s.n);
  for (std::size_t i = 0; i < s.m; ++i)
    for (std::size_t j = 0; j < s.n; ++j) {
      double sum = s.accumulate ? static_cast<double>(c[i * s.n + j]) : 0.0;
      for (std::size_t k = 0; k < s.k; ++k)
        sum += static_cast<double>(a[s.transpose_a ? k * s.m + i : i * s.k + k]) *
               static_cast<double>(b[s.transpose_b ? j * s.k + k : k * s.n + j]);
      out[i * s.n + j] = sum + (bias != nullptr ? static_cast<double>(bias[j]) : 0.0);
    }
  return out;
}

/// All sums of `values` are exact in f32, so the result is the definition, rounded once. Counts the elements that are not,
/// in one of 12 forms: transposed or not, accumulated, with a bias.
template <class T, class U>
unsigned count_wrong(mpx::on_host::gemm& multiply, std::size_t m, std::size_t n, std::size_t k, int form) {
  gemm_shape const s{m, n, k, form % 2 == 1, form / 2 % 2 == 1, form / 4 == 1};
  bool const has_bias = form / 4 == 2;
  auto const a = values<T>(m * k, 1), b = values<T>(k * n, 2), bias = values<T>(n, 3);
  auto c = values<U>(m * n, 4);
  auto const want = expected(s, a, b, c, has_bias ? bias.data() : nullptr);
  multiply(s, a.data(), b.data(), c.data(), has_bias ? bias.data() : nullptr);
  unsigned wrong = 0;
  for (std::size_t i = 0; i < c.size(); ++i) {
    if constexpr (std::is_same_v<U, double>)
      wrong += c[i] != want[i];
    else
      wrong += static_cast<float>(c[i]) != static_cast<float>(U(static_cast<float>(want[i])));
  }
  return wrong;
}

template <class T, class U>
void check_all_shapes() {
  mpx::on_host::gemm multiply;
  std::size_t const sizes[] = {1, 3, 17, 64, 128};
  unsigned wrong = 0, pick = 0;
  for (std::size_t const m : sizes)
    for (std::size_t const n : sizes)
      for (int form = 0; form < 12; ++form) wrong += count_wrong<T, U>(multiply, m, n, sizes[pick++ % 5], form);
  CHECK(wrong == 0);
}

/// Each dimension, and two of them, longer than what oneDNN is given at once.
template <class T, class U>
void check_large_shapes() {
  mpx::on_host::gemm multiply;
  std::size_t const sizes[][3] = {{2049, 5, 3}, {3, 4500, 7}, {5, 3, 5000}, {2049, 1, 2050}, {1, 2050, 2049}};
  for (auto const& [m, n, k] : sizes)
    for (int form = 0; form < 12; form += m * k + k * n > 1'000'000 ? 5 : 1) {
      CAPTURE(m, n, k, form);
      CHECK(count_wrong<T, U>(multiply, m, n, k, form) == 0);
    }
}

}  // namespace

TEST_CASE("gemm of f32 gives the definition for all transposes, with bias and accumulated", "[host][gemm]") {
  check_all_shapes<float, float>();
}

TEST_CASE("gemm of f64 gives the definition", "[host][gemm]") { check_all_shapes<double, double>(); }

TEST_CASE("gemm of bf16 sums in f32 and rounds once", "[host][gemm]") {
  check_all_shapes<bf16, bf16>();
  check_all_shapes<bf16, float>();
}

TEST_CASE("gemm of f16 sums in f32 and rounds once", "[host][gemm]") {
  check_all_shapes<f16, f16>();
  check_all_shapes<f16, float>();
}

TEST_CASE("gemm of large matrices, which is done in parts, gives the definition, rounded once", "[host][gemm]") {
  check_large_shapes<float, float>();
  check_large_shapes<bf16, bf16>();
  check_large_shapes<bf16, float>();
  check_large_shapes<f16, f16>();
}

TEST_CASE("a bias is added in f32, before the result is rounded to bf16", "[host][gemm]") {
  // 256 + 0.75 + 0.75 = 257.5. bf16 holds 8 significant bits: it has 256, 258, but neither 257 nor 257.5.
  // Rounded once: 258. Rounded before the bias is added: 256.75 -> 256, and 256.75 -> 256 again.
  std::vector<bf16> const a{16.0f, 1.0f}, b{16.0f, 0.75f}, bias{0.75f};
  bf16 c;
  mpx::on_host::gemm multiply;
  multiply({.m = 1, .n = 1, .k = 2}, a.data(), b.data(), &c, bias.data());
  CHECK(static_cast<float>(c) == 258.0f);
}

TEST_CASE("gemm over sizes of 0", "[host][gemm]") {
  mpx::on_host::gemm multiply;
  float const bias[] = {1.0f, 2.0f, 3.0f};
  std::vector<float> c(6, 9.0f);

  multiply({.m = 2, .n = 3, .k = 0, .accumulate = true}, bias, bias, c.data(), static_cast<float*>(nullptr));
  CHECK(c == std::vector<float>(6, 9.0f));
  multiply({.m = 2, .n = 0, .k = 3}, bias, bias, c.data(), static_cast<float*>(nullptr));
  multiply({.m = 0, .n = 3, .k = 3}, bias, bias, c.data(), static_cast<float*>(nullptr));
  CHECK(c == std::vector<float>(6, 9.0f));
  multiply({.m = 2, .n = 3, .k = 0}, bias, bias, c.data(), bias);
  CHECK(c == std::vector<float>{1, 2, 3, 1, 2, 3});
  multiply({.m = 2, .n = 3, .k = 0}, bias, bias, c.data(), static_cast<float*>(nullptr));
  CHECK(c == std::vector<float>(6, 0.0f));
  CHECK(multiply.shapes() == 0);
}

TEST_CASE("a shape that gemm has seen allocates nothing and gives the same bits", "[host][gemm]") {
  auto const run = []<class T, class U>(T, U) {
    mpx::on_host::gemm multiply;
    gemm_shape const s{.m = 33, .n = 65, .k = 129, .transpose_b = true};
    std::vector<T> a(s.m * s.k), b(s.k * s.n);
    for (std::size_t i = 0; i < a.size(); ++i) a[i] = T(std::sin(static_cast<float>(i)));
    for (std::size_t i = 0; i < b.size(); ++i) b[i] = T(std::cos(static_cast<float>(i)));
    std::vector<U> first(s.m * s.n), again(s.m * s.n);
    multiply(s, a.data(), b.data(), first.data(), b.data());
    auto const workspace = multiply.workspace_bytes();
    auto const shapes = multiply.shapes();

    long const before = own_allocations;
    for (int i = 0; i < 10; ++i) multiply(s, a.data(), b.data(), again.data(), b.data());
    CHECK(own_allocations == before);

    CHECK(multiply.workspace_bytes() == workspace);
    CHECK(multiply.shapes() == shapes);
    CHECK(std::memcmp(first.data(), again.data(), first.size() * sizeof(U)) == 0);
  };
  run(float{}, float{});
  run(bf16{}, bf16{});
  run(bf16{}, float{});
  run(f16{}, f16{});

  long const before = own_allocations;
  ::operator delete(::operator new(8));
  long const after = own_allocations;
  CHECK(after == before + 1);  // the counter does count
}

TEST_CASE("gemm keeps one entry per shape, however many there are", "[host][gemm]") {
  mpx::on_host::gemm multiply;
  std::vector<float> const ones(100, 1.0f);
  std::vector<float> c(100);
  for (int pass = 0; pass < 2; ++pass)
    for (std::size_t k = 1; k <= 100; ++k) {
      multiply({.m = 1, .n = 1, .k = k}, ones.data(), ones.data(), c.data(), static_cast<float*>(nullptr));
      CHECK(c[0] == static_cast<float>(k));
    }
  CHECK(multiply.shapes() == 100);
}

TEST_CASE("gemm holds f16 operands in f32, and says how many bytes that takes", "[host][gemm]") {
  mpx::on_host::gemm multiply;
  std::vector<f16> const a(64 * 64);
  std::vector<float> c(64 * 64);
  multiply({.m = 64, .n = 64, .k = 64}, a.data(), a.data(), c.data(), static_cast<f16*>(nullptr));
  CHECK(multiply.workspace_bytes() >= 2 * 64 * 64 * sizeof(float));
}

TEST_CASE("a description that oneDNN refuses is an mpx::error", "[host][gemm]") {
  mpx::on_host::gemm multiply;
  float one = 1.0f;
  // As a signed number this extent is negative.
  std::size_t const huge = ~std::size_t{0};
  CHECK_THROWS_AS(multiply({.m = huge, .n = 1, .k = 1}, &one, &one, &one, static_cast<float*>(nullptr)), mpx::error);
}
