// Mirrors include/mpx/core/relative_buckets.hpp.
#include <mpx/core/relative_buckets.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include <mpx_test.hpp>

namespace {

constexpr mpx::relative_buckets encoder(32, 128, true), decoder(32, 128, false);

/// The paper's formula with its logarithm. Where the quotient of logarithms is a whole number, f64 may fall below it.
std::size_t by_logarithm(std::int64_t key_minus_query, std::size_t buckets, double most, bool bidirectional) {
  std::size_t offset = 0;
  if (bidirectional) {
    buckets /= 2;
    offset = key_minus_query > 0 ? buckets : 0;
  } else if (key_minus_query > 0) {
    return 0;
  }
  auto const distance = static_cast<double>(std::abs(key_minus_query));
  auto const exact = static_cast<double>(buckets / 2);
  if (distance < exact) return offset + static_cast<std::size_t>(distance);
  double const share = std::log(distance / exact) / std::log(most / exact);
  auto const above = static_cast<std::size_t>(share * static_cast<double>(buckets - buckets / 2) + 1e-9);
  return offset + std::min(buckets / 2 + above, buckets - 1);
}

/// Does every distance from -first[b] to -first[b + 1] + 1 fall into bucket b?
template <std::size_t N>
constexpr bool begin_at(mpx::relative_buckets const& bucket, std::array<int, N> const& first) {
  for (std::size_t b = 0; b < N; ++b) {
    int const end = b + 1 < N ? first[b + 1] : first[b] + 1000;
    for (int t = first[b]; t < end; ++t)
      if (bucket(-t) != b) return false;
  }
  return true;
}

}  // namespace

// By hand, both ways: 8 distances alone, then 8 sqrt(2)^j: 8, 11.3, 16, 22.6, 32, 45.3, 64, 90.5.
static_assert(encoder.count() == 32);
static_assert(begin_at(encoder, std::array{0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91}));
static_assert(encoder(1) == 17 && encoder(7) == 23 && encoder(8) == 24 && encoder(90) == 30 && encoder(91) == 31);

// One way: 16 distances alone, then 16 * 8^(j/16): 16, 18.2, 20.7, 23.6, 26.9, 30.6, 34.9, 39.7, 45.3, 51.5, 58.7,
// 66.8, 76.1, 86.7, 98.7, 112.4. Later keys, which a causal model does not see, are in bucket 0.
static_assert(decoder.count() == 32 && decoder(1) == 0 && decoder(500) == 0);
static_assert(begin_at(decoder, std::array{0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                           16, 19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77, 87, 99, 113}));

static_assert(mpx::relative_buckets().count() == 0);
static_assert(mpx::relative_buckets(64, 65535, false)(-65535) == 63);  // numbers of 512 bits are compared

TEST_CASE("buckets are those of the paper's logarithm", "[core][relative_buckets]") {
  struct {
    std::size_t buckets, most;
  } const forms[] = {{32, 128}, {4, 3}, {8, 20}, {10, 9}, {12, 500}, {24, 100}, {32, 256}, {64, 1024}};
  for (auto const& form : forms)
    for (bool const bidirectional : {true, false}) {
      mpx::relative_buckets const bucket(form.buckets, form.most, bidirectional);
      INFO(form.buckets << " buckets to distance " << form.most << (bidirectional ? ", both ways" : ", one way"));
      std::size_t wrong = 0;
      for (std::int64_t t = -1500; t <= 1500; ++t)
        wrong += bucket(t) != by_logarithm(t, form.buckets, static_cast<double>(form.most), bidirectional);
      CHECK(wrong == 0);
    }
}
