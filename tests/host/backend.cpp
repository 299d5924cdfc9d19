#include <mpx_test.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

#include <mpx/backend/concepts.hpp>
#include <mpx/host/backend.hpp>

namespace {

/// A host machine that has forgotten how to sum squares.
struct forgetful : mpx::on_host::machine {
  void add_squares() = delete;
};

struct half_a_backend {
  using machine = mpx::on_host::machine;
};

}  // namespace

static_assert(mpx::backend<mpx::on_host::backend>);
static_assert(mpx::memory_resource<mpx::on_host::memory>);
static_assert(mpx::channel<mpx::on_host::channel>);
static_assert(mpx::group<mpx::on_host::group>);
static_assert(mpx::machine<mpx::on_host::machine, float>);
static_assert(mpx::machine<mpx::on_host::machine, double>);
static_assert(mpx::machine<mpx::on_host::machine, mpx::bf16>);
static_assert(mpx::machine<mpx::on_host::machine, mpx::f16>);

static_assert(!mpx::backend<int> && !mpx::backend<half_a_backend>);
static_assert(!mpx::memory_resource<std::vector<std::byte>>);
static_assert(!mpx::channel<mpx::on_host::group> && !mpx::group<mpx::on_host::channel>);
static_assert(!mpx::machine<forgetful, float>);

TEST_CASE("a machine reports the workspace that its first gemm took", "[host][machine]") {
  mpx::on_host::machine m;
  CHECK(m.workspace_bytes() == 0);
  std::vector<mpx::f16> const a(32 * 32, mpx::f16(1.0f));
  std::vector<mpx::f16> c(32 * 32);
  m.gemm({.m = 32, .n = 32, .k = 32}, a.data(), a.data(), c.data(), static_cast<mpx::f16 const*>(nullptr));
  CHECK(static_cast<float>(c[5]) == 32.0f);
  CHECK(m.workspace_bytes() >= 3 * 32 * 32 * sizeof(float));
}

TEST_CASE("a machine's attention over one key is that key's value", "[host][machine]") {
  mpx::on_host::machine m;
  float const q[] = {1.0f, 2.0f}, v[] = {5.0f, 6.0f}, d_o[] = {1.0f, 1.0f};
  float o[2], lse = 0, dq[2], dk[2], dv[2], dq_sum[2], delta = 0;
  mpx::attention_shape const s{1, 1, 1, 1, 2, 2, 2, false};
  m.attention_forward(s, o, &lse, q, q, v, nullptr);
  CHECK(o[0] == 5.0f);
  CHECK(o[1] == 6.0f);
  m.attention_backward(s, dq, dk, dv, dq_sum, &delta, d_o, o, &lse, q, q, v, nullptr);
  CHECK(dv[0] == 1.0f);
  CHECK(dq[0] == 0.0f);
  CHECK(dk[0] == 0.0f);
}

TEST_CASE("widen keeps values, fill_ids repeats one", "[host][machine]") {
  mpx::on_host::machine m;
  mpx::bf16 const from[] = {mpx::bf16(1.5f), mpx::bf16(-2.0f)};
  float to[2];
  m.widen(to, from, 2);
  CHECK(to[0] == 1.5f);
  CHECK(to[1] == -2.0f);
  std::vector<std::int32_t> ids(3, 7);
  m.fill_ids(ids.data(), -1, 2);
  CHECK(ids == std::vector<std::int32_t>{-1, -1, 7});
}
