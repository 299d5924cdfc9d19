// Mirrors include/mpx/core/extent.hpp.
#include <mpx/core/extent.hpp>

#include <mpx_test.hpp>

namespace {

// 3 sequences of 5 source and 7 target tokens.
constexpr mpx::extents size{3, {5, 7}};
constexpr mpx::element_sizes bf16_sizes{.compute = 2, .accumulate = 4};

}  // namespace

static_assert(size.tokens_on(mpx::axis::source) == 5 && size.tokens_on(mpx::axis::target) == 7);
static_assert(size.rows(mpx::axis::source) == 15 && size.rows(mpx::axis::target) == 21);
static_assert(bf16_sizes.of(mpx::element::compute) == 2 && bf16_sizes.of(mpx::element::accumulate) == 4);
static_assert(bf16_sizes.of(mpx::element::i32) == 4);

// 15 rows of 8 bf16 are 240 bytes, four cache lines; 21 rows of one f32 are 84 bytes, two.
static_assert(mpx::tensor_extent{mpx::axis::source, 8}.bytes(size, bf16_sizes) == 256);
static_assert(mpx::tensor_extent{mpx::axis::target, 1, mpx::element::accumulate}.bytes(size, bf16_sizes) == 128);
// One i32 for each of 3 sequences.
static_assert(mpx::tensor_extent{mpx::axis::target, 1, mpx::element::i32, true}.bytes(size, bf16_sizes) == 64);

TEST_CASE("each of several tensors begins on a cache line", "[core][extent]") {
  constexpr std::array<mpx::tensor_extent, 2> both{{{mpx::axis::source, 8}, {mpx::axis::target, 1, mpx::element::accumulate}}};
  CHECK(mpx::total_bytes(both, size, bf16_sizes) == 256 + 128);
  CHECK(mpx::total_bytes(std::array<mpx::tensor_extent, 0>{}, size, bf16_sizes) == 0);
}
