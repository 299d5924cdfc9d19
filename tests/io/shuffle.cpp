#include <mpx_test.hpp>

#include <algorithm>
#include <vector>

#include <mpx/io/shuffle.hpp>

static_assert(mpx::detail::below(10, 0) == 0);
static_assert(mpx::detail::below(10, 0xffffffffu) == 9);
static_assert(mpx::detail::below(10, 0x80000000u) == 5);

TEST_CASE("shuffled holds each index once", "[io][shuffle]") {
  auto order = mpx::shuffled(100, 1, 0);
  CHECK_FALSE(std::is_sorted(order.begin(), order.end()));
  std::sort(order.begin(), order.end());
  for (std::size_t i = 0; i < 100; ++i) CHECK(order[i] == i);
  CHECK(mpx::shuffled(0, 1, 0).empty());
  CHECK(mpx::shuffled(1, 1, 0) == std::vector<std::size_t>{0});
}

TEST_CASE("shuffled depends on seed and epoch alone", "[io][shuffle]") {
  CHECK(mpx::shuffled(50, 7, 3) == mpx::shuffled(50, 7, 3));
  CHECK(mpx::shuffled(50, 7, 3) != mpx::shuffled(50, 7, 4));
  CHECK(mpx::shuffled(50, 7, 3) != mpx::shuffled(50, 8, 3));
}

TEST_CASE("shuffled puts each index at each place about equally often", "[io][shuffle]") {
  // 6000 epochs of 6: a place expects each index 1000 times, with a standard deviation of 29.
  std::vector<std::size_t> seen(36);
  for (std::uint64_t epoch = 0; epoch < 6000; ++epoch) {
    auto const order = mpx::shuffled(6, 5, epoch);
    for (std::size_t place = 0; place < 6; ++place) ++seen[place * 6 + order[place]];
  }
  CHECK(*std::min_element(seen.begin(), seen.end()) > 850);
  CHECK(*std::max_element(seen.begin(), seen.end()) < 1150);
}
