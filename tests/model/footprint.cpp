// Mirrors include/mpx/model/footprint.hpp.
#include <mpx/model/footprint.hpp>

#include <mpx/model/activation.hpp>
#include <mpx/model/embedding.hpp>
#include <mpx/model/linear.hpp>
#include <mpx/model/transformer_block.hpp>

#include <mpx_test.hpp>

namespace {

// 2 sequences of 8 tokens: 16 rows, on both axes.
constexpr mpx::extents size{2, {8, 8}};
constexpr mpx::element_sizes f32{.compute = 4, .accumulate = 4};
constexpr mpx::element_sizes bf16{.compute = 2, .accumulate = 4};

using block = mpx::transformer_block<mpx::width<32>, mpx::heads<4>, mpx::feed_forward<64>>;
using counts = mpx::footprint<block>;

// What the block's parts keep, in f32: 16 rows of 32 values are 2048 bytes.
constexpr std::size_t x = 16 * 32 * 4;
constexpr std::size_t column = 16 * 4;                          // one f32 a row
constexpr std::size_t norm = x + 2 * column;                    // x, mean, 1 / deviation
constexpr std::size_t attention = x + 3 * x + x + 4 * column;   // x, qkv, the heads' output, 4 heads' log sums
constexpr std::size_t mlp = x + 2 * x + 2 * x;                  // x, and two times 64 hidden values

}  // namespace

static_assert(mpx::padded_elements(0) == 0 && mpx::padded_elements(1) == 32 && mpx::padded_elements(33) == 64);

// Both residuals begin with a norm, which keeps x; dropout keeps nothing.
static_assert(counts::saved(size, f32) == norm + attention + norm + mlp);
static_assert(counts::saved(size, f32) == 25'088);
// With relu the mlp keeps its hidden values once: their signs say what passed.
static_assert(mpx::footprint<mpx::mlp<32, 64, mpx::relu>>::saved(size, f32) == x + 2 * x);
// Half of it in bf16, but for the f32 statistics: 4 + 4 columns.
static_assert(counts::saved(size, bf16) == (25'088 - 8 * column) / 2 + 8 * column);

// Two norms of 32 + 32; qkv 96 x 32 + 96; out 32 x 32 + 32; up 64 x 32 + 64; down 32 x 64 + 32. All whole cache lines.
static_assert(counts::parameters_on(1) == 2 * 64 + 3168 + 1056 + 2112 + 2080);
static_assert(mpx::footprint<mpx::linear<8, 5>>::parameters_on(1) == 64 + 32);  // 40 and 5 values, each rounded up to 32

// A pair of FLOPs for each weight and row, and for each pair of tokens twice the width in attention.
static_assert(counts::flops(size) == 2.0 * 16 * (3072 + 1024 + 2048 + 2048) + 4.0 * 16 * 8 * 32);

// On two tensor ranks: half of qkv, of the heads' output and sums, of the hidden values; x and the norms are whole.
constexpr mpx::extents shared{2, {8, 8}, 2};
static_assert(counts::saved(shared, f32) == 2 * norm + (x + 2 * x + 2 * column) + (x + 2 * x));
static_assert(counts::flops(shared) == counts::flops(size) / 2);
// out and down are summed forward, the inputs of qkv and of up backward; one rank has nothing to sum.
static_assert(counts::forward_sums(shared, f32) == 2 * x && counts::backward_sums(shared, f32) == 2 * x);
static_assert(counts::forward_sums(shared, bf16) == x && counts::backward_sums(shared, bf16) == x);
static_assert(counts::forward_sums(size, f32) == 0 && counts::backward_sums(size, f32) == 0);

static_assert(counts::keeps_input && !counts::in_place);
static_assert(mpx::footprint<mpx::dropout<8>>::in_place && !mpx::footprint<mpx::dropout<8>>::keeps_input);
static_assert(mpx::footprint<mpx::residual<mpx::linear<8, 8>>>::keeps_input);

TEST_CASE("a composition works in place when all of its layers do", "[model][footprint]") {
  using drop = mpx::dropout<8>;
  CHECK(mpx::footprint<mpx::sequential<drop, drop>>::in_place);
  CHECK_FALSE(mpx::footprint<mpx::sequential<drop, mpx::linear<8, 8>>>::in_place);
  CHECK_FALSE(mpx::footprint<mpx::sequential<mpx::linear<8, 8>, drop>>::in_place);
}

TEST_CASE("gradients inside a composition take turns in at most two buffers", "[model][footprint]") {
  using one = mpx::linear<8, 8>;
  std::size_t const buffer = 16 * 8 * 4;
  CHECK(mpx::footprint<mpx::sequential<one>>::backward_scratch(size, f32) == 0);
  CHECK(mpx::footprint<mpx::sequential<one, one>>::backward_scratch(size, f32) == buffer);
  CHECK(mpx::footprint<mpx::sequential<one, one, one>>::backward_scratch(size, f32) == 2 * buffer);
  CHECK(mpx::footprint<mpx::sequential<one, one, one, one>>::backward_scratch(size, f32) == 2 * buffer);
}

TEST_CASE("a composition holds as many tokens as the shortest of its tables", "[model][footprint]") {
  using tables = mpx::sequential<mpx::learned_positions<12, 8>, mpx::sinusoidal_positions<16, 8>>;
  CHECK(mpx::footprint<tables>::most_tokens == 12);
  CHECK(mpx::footprint<tables>::constants == 16 * 8);
  CHECK(mpx::footprint<mpx::linear<8, 8>>::most_tokens == static_cast<std::size_t>(-1));
}
