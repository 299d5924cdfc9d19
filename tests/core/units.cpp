// Mirrors include/mpx/core/units.hpp.
#include <mpx/core/units.hpp>

#include <concepts>
#include <cstddef>

#include <mpx_test.hpp>

using namespace mpx::literals;

static_assert(1_KiB == 1024_B && 1_MiB == 1024_KiB + 0_B && 2_GiB == 1_GiB + 1_GiB);
static_assert(3_KiB - 1_KiB == 1_KiB * 2);
static_assert(1_MiB > 1023_KiB && 1_MiB <= 1024_KiB);

// Bytes become a number, or a number bytes, only where somebody says so.
static_assert(!std::convertible_to<mpx::bytes, std::size_t> && !std::convertible_to<std::size_t, mpx::bytes>);

static_assert(mpx::aligned(0) == 0 && mpx::aligned(1) == 64 && mpx::aligned(64) == 64 && mpx::aligned(65) == 128);

TEST_CASE("bytes can be summed up", "[core][units]") {
  mpx::bytes sum;
  for (std::size_t i = 1; i <= 4; ++i) sum += 10_B * i;
  CHECK(sum.count == 100);
}
