// A GPU's operations against the host's, for each element type and around the sizes of warps, blocks, runs and tiles.
#include "gpu.hpp"
#include "laws/machine.hpp"
#include "laws/products.hpp"

#include <array>
#include <type_traits>
#include <vector>

#include <mpx/backend/concepts.hpp>
#include <mpx/cuda/row_sums_in_products.hpp>

using mpx::on_cuda::backend;

static_assert(mpx::backend<backend>);
static_assert(mpx::sums_within_products<mpx::on_cuda::with_row_sums<backend>::machine, float>);
static_assert(!mpx::sums_within_products<backend::machine, float>);
static_assert(mpx::memory_resource<mpx::on_cuda::memory>);
static_assert(mpx::channel<mpx::on_cuda::channel> && mpx::group<mpx::on_cuda::group>);
static_assert(!mpx::machine<mpx::on_cuda::machine, double>);  // gradient checks are the host's

TEMPLATE_TEST_CASE("a GPU's element-wise operations give what the host gives", "[gpu][operations]", float, mpx::bf16, mpx::f16) {
  if (test::no_gpu()) return;
  for (std::size_t const n : {0, 1, 33, 2047, 2048, 2049, 100'003}) laws::elements_agree<backend, TestType>(n);
}

TEST_CASE("a GPU's squares are added up portion by portion", "[gpu][operations]") {
  if (test::no_gpu()) return;
  for (std::size_t const portion : {7, 20000, 65536, 33 * 16384})
    for (std::size_t const n : {std::size_t{0}, std::size_t{1}, portion - 1, portion, portion + 1, 2 * portion + 5})
      laws::squares_agree<backend>(n, portion);
}

TEMPLATE_TEST_CASE("a GPU's optimizers give what the host's give", "[gpu][operations]", float, mpx::bf16, mpx::f16) {
  if (test::no_gpu()) return;
  for (std::size_t const n : {1, 255, 2049, 50'000}) laws::updates_agree<backend, TestType>(n);
}

TEMPLATE_TEST_CASE("a GPU's row-wise operations give what the host gives", "[gpu][operations]", float, mpx::bf16, mpx::f16) {
  if (test::no_gpu()) return;
  for (std::size_t const rows : {0, 1, 3, 33, 130})
    for (std::size_t const width : {1, 2, 31, 32, 33, 64, 65, 100, 255, 256, 257, 768, 1024, 1025}) laws::rows_agree<backend, TestType>(rows, width);
  laws::rows_agree<backend, TestType>(5000, 40);
  laws::rows_agree<backend, TestType>(3, 17'000);
}

TEMPLATE_TEST_CASE("a GPU's tables, positions and masks give what the host gives", "[gpu][operations]", float, mpx::bf16, mpx::f16) {
  if (test::no_gpu()) return;
  for (std::size_t const width : {1, 6, 31, 64, 66, 256, 770}) laws::tables_agree<backend, TestType>(3, 7, width);
  laws::tables_agree<backend, TestType>(2, 600, 64);
}

TEMPLATE_TEST_CASE("a GPU's losses give what the host gives", "[gpu][operations]", float, mpx::bf16, mpx::f16) {
  if (test::no_gpu()) return;
  for (std::size_t const vocabulary : {1, 2, 31, 32, 65, 300, 1025, 50'257}) laws::losses_agree<backend, TestType>(9, vocabulary);
  laws::losses_agree<backend, TestType>(700, 61);
}

TEMPLATE_TEST_CASE("a GPU's attention gives what the host gives", "[gpu][operations]", float, mpx::bf16, mpx::f16) {
  if (test::no_gpu()) return;
  auto const agree = [](laws::attention_case const& z) { laws::attention_agrees<backend, TestType>(z); };
  for (std::size_t const head_width : {1, 2, 16, 63, 64, 65, 128, 130, 256}) {
    agree({2, 2, 9, 17, head_width});
    agree({1, 2, 33, 33, head_width, true});
    agree({3, 1, 31, 65, head_width, false, true});
  }
  for (std::size_t const tokens : {1, 7, 8, 31, 32, 33, 64, 65, 200}) {
    agree({2, 3, tokens, tokens, 24, true, true});
    agree({2, 2, tokens, 40, 24, false, true, 8, 20});
    agree({2, 2, tokens, tokens, 24, true, false, 32, 128});
  }
  agree({2, 4, 512, 512, 64, true});
  for (std::size_t const gap : {0, 8})  // rows that can be copied 16 bytes at a time
    for (std::size_t const head_width : {8, 32, 40, 64, 96, 128}) {
      agree({2, 2, 65, 130, head_width, false, true, 0, 0, 0, gap});
      agree({2, 2, 200, 200, head_width, true, false, 0, 0, 0, gap});
      agree({2, 2, 70, 70, head_width, true, true, 8, 20, 1, gap});
    }
  for (std::size_t const key_value_heads : {1, 2, 6}) {
    agree({2, 6, 33, 33, 24, true, false, 0, 0, key_value_heads});
    agree({2, 6, 40, 65, 130, false, true, 8, 20, key_value_heads});
  }
}

namespace {

/// Products of shapes that fill tiles, do not fill them, and are as narrow as one column.
template <class T, class U>
void products_agree(mpx::gemm_shape const& s, bool with_bias) {
  mpx::on_cuda::machine m;
  mpx::on_host::machine host;
  INFO("m " << s.m << ", n " << s.n << ", k " << s.k << (s.transpose_a ? ", a^T" : "") << (s.transpose_b ? ", b^T" : "")
            << (s.accumulate ? ", accumulate" : "") << (with_bias ? ", bias" : ""));
  laws::twin<backend, T> a(m, laws::numbers<T>(s.m * s.k, 1)), b(m, laws::numbers<T>(s.k * s.n, 2)), bias(m, laws::numbers<T>(s.n, 3));
  laws::twin<backend, U> c(m, s.accumulate ? laws::numbers<U>(s.m * s.n, 4) : laws::nothing<U>(s.m * s.n));
  m.gemm(s, a.in(), b.in(), c.data(), with_bias ? bias.in() : nullptr);
  host.gemm(s, a.host_in(), b.host_in(), c.host.data(), with_bias ? bias.host_in() : nullptr);
  double const terms = std::sqrt(static_cast<double>(s.m * s.n * s.k)) / 3;  // where one sum alone has cancelled
  c.check(laws::rounded<U>, "c", terms);
  auto const first = c.read();
  if (!s.accumulate) {
    m.gemm(s, a.in(), b.in(), c.data(), with_bias ? bias.in() : nullptr);
    CHECK(laws::same_bits(first, c.read()));  // and again the same bits
  }
}

template <class T, class U>
void all_products_agree() {
  for (auto const& [rows, columns, depth] : std::vector<std::array<std::size_t, 3>>{
           {1, 1, 1}, {3, 5, 7}, {16, 16, 16}, {1, 61, 32}, {33, 1, 65}, {64, 96, 32}, {130, 61, 100}, {256, 192, 320}, {5, 8, 0}})
    for (bool const ta : {false, true})
      for (bool const tb : {false, true}) {
        mpx::gemm_shape s{rows, columns, depth, ta, tb, false};
        products_agree<T, U>(s, false);
        products_agree<T, U>(s, true);
        s.accumulate = true;
        products_agree<T, U>(s, false);
      }
}

}  // namespace

TEST_CASE("a GPU's products give what the host's give", "[gpu][gemm]") {
  if (test::no_gpu()) return;
  all_products_agree<float, float>();
  all_products_agree<mpx::bf16, mpx::bf16>();
  all_products_agree<mpx::bf16, float>();
  all_products_agree<mpx::f16, mpx::f16>();
  all_products_agree<mpx::f16, float>();
}

TEMPLATE_TEST_CASE("a GPU's bias gradients from products are what the host adds up", "[gpu][gemm]", float, mpx::bf16, mpx::f16) {
  if (test::no_gpu()) return;
  for (bool const accumulate : {false, true})
    for (auto const& [rows, out, in] : std::vector<std::array<std::size_t, 3>>{
             {0, 3, 5}, {1, 1, 1}, {7, 3, 5}, {16, 16, 16}, {33, 1, 65}, {65, 61, 1}, {100, 61, 130}, {64, 96, 32},
             {320, 256, 192}, {1023, 768, 256}, {4096, 192, 64}})
      laws::row_sums_agree<mpx::on_cuda::with_row_sums<backend>, TestType>(rows, out, in, accumulate);
}

TEMPLATE_TEST_CASE("a GPU's gelu beside a product is the host's behind it", "[gpu][gemm]", float, mpx::bf16, mpx::f16) {
  if (test::no_gpu()) return;
  for (bool const with_bias : {false, true})  // rows of 8 elements, and others
    for (auto const& [rows, out, in] : std::vector<std::array<std::size_t, 3>>{
             {0, 8, 3}, {1, 1, 1}, {1, 8, 8}, {7, 3, 5}, {16, 16, 16}, {33, 24, 65}, {65, 61, 100}, {130, 100, 61},
             {100, 104, 130}, {64, 96, 32}, {320, 256, 192}, {1023, 768, 256}})
      laws::gelus_agree<backend, TestType>(rows, out, in, with_bias);
}

TEST_CASE("what cublasLt does not offer beside a product is known, and what it does is told", "[gpu][gemm]") {
  if (test::no_gpu()) return;
  std::size_t const n = 512;
  mpx::on_cuda::gemm multiply;
  mpx::on_cuda::memory halves(6 * n * n * sizeof(mpx::bf16)), floats(2 * n * n * sizeof(float));
  auto* const a = reinterpret_cast<mpx::bf16*>(halves.data());
  auto *const b = a + n * n, *const c = b + n * n, *const y = c + n * n;
  auto* const f = reinterpret_cast<float*>(floats.data());
  auto const same = [](auto* p) { return static_cast<std::remove_pointer_t<decltype(p)> const*>(p); };
  mpx::gemm_shape const s{.m = n, .n = n, .k = n};
  auto transposed = s;
  transposed.transpose_a = true;
  if (!multiply.offers_row_sum(transposed, same(a), same(b), f, f + n * n)) WARN("cublasLt has no bias gradient in bf16 here");
  if (!multiply.offers_gelu(s, same(a), same(b), c, y, same(a))) WARN("cublasLt has no gelu in bf16 here");
  if (!multiply.offers_gelu_gradient(s, same(a), same(b), c, same(y))) WARN("cublasLt has no gradient of gelu in bf16 here");
  std::size_t const shapes = multiply.shapes();
  auto uneven = s;
  uneven.n = n - 1;
  CHECK(!multiply.offers_gelu(uneven, same(a), same(b), c, y, same(a)));
  CHECK(!multiply.offers_gelu(s, same(a), same(b), c + 1, y, same(a)));
  CHECK(!multiply.offers_gelu_gradient(s, same(a), same(b), c, same(y + 1)));
  CHECK(!multiply.offers_row_sum(transposed, same(a + 1), same(b), f, f + n * n));
  CHECK(!multiply.offers_gelu(s, same(f), same(f), f, f, same(f)));
  CHECK(multiply.shapes() == shapes);  // nobody was asked
}

TEST_CASE("a GPU's f32 product is no tf32 product", "[gpu][gemm]") {
  if (test::no_gpu()) return;
  // 1 + 2^-12 has more digits than tf32 keeps; its square sum over 64 of them is far off where they are dropped.
  std::size_t const n = 64;
  mpx::on_cuda::machine m;
  laws::twin<backend, float> a(m, std::vector<float>(n * n, 1.0f + 0x1p-12f)), c(m, laws::nothing<float>(n * n));
  m.gemm({.m = n, .n = n, .k = n}, a.in(), a.in(), c.data(), static_cast<float const*>(nullptr));
  CHECK(c.read()[5] == Approx(64.0 * (1.0 + 0x1p-12) * (1.0 + 0x1p-12)).epsilon(1e-6));
}

TEST_CASE("a shape's algorithm is chosen once", "[gpu][gemm]") {
  if (test::no_gpu()) return;
  mpx::on_cuda::gemm multiply;
  mpx::on_cuda::memory block(3 * 64 * 64 * sizeof(float));
  auto* const a = reinterpret_cast<float*>(block.data());
  for (int i = 0; i < 3; ++i) multiply({.m = 64, .n = 64, .k = 64}, a, a + 4096, a + 8192, static_cast<float const*>(nullptr));
  mpx::on_cuda::wait_for_queue();
  CHECK(multiply.shapes() == 1);
}

TEST_CASE("a GPU that is not there is refused by its name", "[gpu][memory]") {
  if (test::no_gpu()) return;
  CHECK(test::said([&] { mpx::on_cuda::machine(1000); }).find("no such GPU (cuda<1000>)") != std::string::npos);
  CHECK(test::said([&] { mpx::on_cuda::memory(64, 1000); }).find("no such GPU (cuda<1000>)") != std::string::npos);
}

TEST_CASE("a GPU's memory is zeroed, moves, and says when there is none left", "[gpu][memory]") {
  if (test::no_gpu()) return;
  mpx::on_cuda::machine m;
  mpx::on_cuda::memory one(100);
  CHECK(one.size() == 128);
  std::vector<unsigned char> bytes(128, 1);
  m.download(bytes.data(), one.data(), 128);
  CHECK(bytes == std::vector<unsigned char>(128, 0));
  auto* const at = one.data();
  mpx::on_cuda::memory other(std::move(one));
  CHECK(other.data() == at);
  CHECK(one.data() == nullptr);
  CHECK(test::said([&] { mpx::on_cuda::memory(std::size_t{1} << 50); }).find("out of memory (cuda<0>)") != std::string::npos);
  m.zero(other.data(), 128);  // and the failure is not told again
  m.finish();
}

TEST_CASE("scratch that grows keeps what is under way", "[gpu][machine]") {
  if (test::no_gpu()) return;
  mpx::on_cuda::machine m;
  auto const before = m.workspace_bytes();
  std::size_t const n = 5'000'000;
  laws::twin<backend, float> x(m, std::vector<float>(n, 1.0f));
  std::vector<float> sums(9000, 0.0f);
  m.add_squares(&sums[0], 1, x.in(), 100, 100);
  m.add_squares(&sums[1], 1, x.in(), n, n);
  for (std::size_t i = 2; i < sums.size(); ++i) m.add_squares(&sums[i], 1, x.in(), i, i);  // more numbers than one block of results holds
  m.finish();
  CHECK(m.workspace_bytes() > before);
  CHECK(sums[0] == 100.0f);
  CHECK(sums[1] == static_cast<float>(n));
  for (std::size_t i = 2; i < sums.size(); ++i) REQUIRE(sums[i] == static_cast<float>(i));
}
