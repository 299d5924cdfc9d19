#include <mpx/core/random.hpp>

#include <mpx_test.hpp>

using mpx::philox;
using mpx::random_counter;

// The known answers that the authors ship with their library (Random123, kat_vectors, philox4x32 10).
static_assert(philox({0, 0, 0, 0}, 0) == random_counter{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u});
static_assert(philox({~0u, ~0u, ~0u, ~0u}, ~0ull) ==
              random_counter{0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu});
static_assert(philox({0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u}, 0x299f31d0a4093822ull) ==
              random_counter{0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u});

TEST_CASE("uniform is never 0, never above 1, and rises with its word", "[core][random]") {
  CHECK(mpx::uniform(0) == 0x1p-25f);
  CHECK(mpx::uniform(0x7fffffffu) < 0.5f);
  CHECK(mpx::uniform(0x80000000u) >= 0.5f);
  CHECK(mpx::uniform(~0u) <= 1.0f);
}

TEST_CASE("uniform words have the mean and the variance of uniform numbers", "[core][random]") {
  int const draws = 100000;
  double sum = 0, squares = 0;
  for (int i = 0; i < draws / 4; ++i)
    for (auto const word : philox({static_cast<std::uint32_t>(i), 0, 0, 0}, 42)) {
      double const u = mpx::uniform(word);
      sum += u;
      squares += u * u;
    }
  // The mean's deviation is 0.29 / sqrt(draws) = 0.0009; four of them are allowed.
  CHECK(sum / draws == Approx(0.5).margin(0.004));
  CHECK(squares / draws - (sum / draws) * (sum / draws) == Approx(1.0 / 12).margin(0.002));
}

TEST_CASE("mixed_key depends on both keys and on their order", "[core][random]") {
  CHECK(mpx::mixed_key(1, 2) != mpx::mixed_key(2, 1));
  CHECK(mpx::mixed_key(1, 2) != mpx::mixed_key(1, 3));
  CHECK(mpx::mixed_key(0, 0) != 0);
}
