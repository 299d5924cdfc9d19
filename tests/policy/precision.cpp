// Mirrors include/mpx/policy/precision.hpp.
#include <mpx/policy/precision.hpp>

#include <mpx_test.hpp>

namespace {

struct doubles {  // what a user may add, for example to check gradients
  using compute = double;
  static constexpr std::string_view label = "doubles";
};
struct without_label {
  using compute = float;
};
struct integers {
  using compute = int;
  static constexpr std::string_view label = "integers";
};

}  // namespace

static_assert(mpx::precision_policy<mpx::f32_only>);
static_assert(mpx::precision_policy<mpx::bf16_mixed>);
static_assert(mpx::precision_policy<mpx::f16_mixed>);
static_assert(mpx::precision_policy<doubles>);
static_assert(!mpx::precision_policy<without_label>);
static_assert(!mpx::precision_policy<integers>);
static_assert(!mpx::precision_policy<float>);

// Sixteen bits for what travels, thirty-two for what is summed.
static_assert(mpx::sizes_of<mpx::f32_only>.compute == 4 && mpx::sizes_of<mpx::f32_only>.accumulate == 4);
static_assert(mpx::sizes_of<mpx::bf16_mixed>.compute == 2 && mpx::sizes_of<mpx::bf16_mixed>.accumulate == 4);
static_assert(mpx::sizes_of<mpx::f16_mixed>.compute == 2 && mpx::sizes_of<mpx::f16_mixed>.accumulate == 4);
static_assert(mpx::sizes_of<doubles>.compute == 8 && mpx::sizes_of<doubles>.accumulate == 8);

static_assert(!mpx::has_master_copy<mpx::f32_only>);
static_assert(mpx::has_master_copy<mpx::bf16_mixed>);
static_assert(mpx::has_master_copy<mpx::f16_mixed>);
static_assert(!mpx::has_master_copy<doubles>);

TEST_CASE("a precision policy is labelled as it is written", "[policy][precision]") {
  CHECK(mpx::f32_only::label == "f32_only");
  CHECK(mpx::bf16_mixed::label == "bf16_mixed");
  CHECK(mpx::f16_mixed::label == "f16_mixed");
}

TEST_CASE("a tensor in the compute type takes half the bytes in mixed precision", "[policy][precision]") {
  // 4 sequences of 8 tokens of 64 channels: 2048 elements.
  mpx::extents const e{.sequences = 4, .tokens = {0, 8}};
  mpx::tensor_extent const x{.rows = mpx::axis::target, .width = 64};
  CHECK(x.bytes(e, mpx::sizes_of<mpx::f32_only>) == 8192);
  CHECK(x.bytes(e, mpx::sizes_of<mpx::bf16_mixed>) == 4096);
}
