#include <mpx_test.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include <mpx/host/group.hpp>

#include "host/on_ranks.hpp"

using mpx::aborted;
using mpx::on_host::group;
using test::on_ranks;
using namespace std::chrono_literals;

TEST_CASE("no rank leaves a barrier before the last has come", "[host][group]") {
  group g("all", 3, 10s);
  std::atomic<int> arrived{0}, early{0};
  on_ranks(3, [&](int rank) {
    for (int round = 1; round <= 200; ++round) {
      ++arrived;
      g.barrier(rank);
      if (arrived < 3 * round) ++early;
      g.barrier(rank);
    }
  });
  CHECK(early == 0);
  CHECK(arrived == 600);
}

TEST_CASE("all_reduce gives every rank the sum in rank order, bit for bit", "[host][group]") {
  // 1 + 2^-24 = 1 in f32, and again: (1 + e) + e = 1, but 1 + (e + e) = 1 + 2^-23.
  for (std::size_t const n : {1u, 2u, 16u, 17u, 300u, 5000u}) {
    float const parts[3] = {1.0f, 0x1p-24f, 0x1p-24f};
    std::vector<std::vector<float>> data(3);
    for (std::size_t r = 0; r < 3; ++r) {
      data[r].assign(n, parts[r]);
      data[r].back() = static_cast<float>(r + 1);
    }
    group g("tied", 3, 10s);
    on_ranks(3, [&](int rank) { g.all_reduce(rank, data[static_cast<std::size_t>(rank)].data(), n); });
    std::vector<float> expected(n, 1.0f);
    expected.back() = 6.0f;
    for (auto const& d : data) CHECK(d == expected);
  }
}

TEST_CASE("all_reduce adds summands in the order of their places, whoever brings them", "[host][group]") {
  // (e + e) + 1 = 1 + 2^-23, but 1 + e + e = 1 in f32. Rank 1 brings the first and the last, the last one first.
  float const parts[3] = {0x1p-24f, 0x1p-24f, 1.0f};
  for (std::size_t const n : {1u, 17u, 300u, 5000u}) {
    std::vector<std::vector<float>> data;
    for (float const part : parts) data.emplace_back(n, part);
    std::vector<std::vector<mpx::summand<float>>> const brought[] = {
        {{{data[1].data(), 1}}, {{data[2].data(), 2}, {data[0].data(), 0}}},
        {{}, {{data[0].data(), 0}, {data[1].data(), 1}, {data[2].data(), 2}}},
        {{{data[2].data(), 2}, {data[1].data(), 1}, {data[0].data(), 0}}}};
    for (auto const& ranks : brought) {
      for (std::size_t i = 0; i < 3; ++i) std::fill(data[i].begin(), data[i].end(), parts[i]);
      int const size = static_cast<int>(ranks.size());
      group g("tied", size, 10s, 3);
      on_ranks(size, [&](int rank) {
        g.all_reduce(rank, std::span<mpx::summand<float> const>(ranks[static_cast<std::size_t>(rank)]), n);
      });
      for (auto const& d : data) CHECK(d == std::vector<float>(n, 1.0f + 0x1p-23f));
    }
  }
}

TEST_CASE("an all_reduce without one of its summands, or with one too many, is an error", "[host][group]") {
  group g("tied", 1, 10s, 2);
  float one = 1, two = 2;
  mpx::summand<float> const parts[] = {{&one, 0}, {&two, 1}, {&two, 2}};
  auto const message = [&](std::size_t first, std::size_t count) -> std::string {
    try {
      g.all_reduce(0, std::span<mpx::summand<float> const>(parts + first, count), 1);
    } catch (mpx::error const& e) {
      g.open();
      return e.what();
    }
    return "none";
  };
  CHECK(message(0, 1) == "all_reduce without one of its summands (tied): expected 2 summands, got none at place 1");
  CHECK(message(1, 1) == "all_reduce without one of its summands (tied): expected 2 summands, got none at place 0");
  CHECK(message(0, 3) == "all_reduce with a summand too many (tied): expected 2 summands, got one at place 2");
  CHECK((one == 1 && two == 2));
  CHECK(message(0, 2) == "none");
  CHECK((one == 3 && two == 3));
  CHECK(message(0, 1) == "all_reduce without one of its summands (tied): expected 2 summands, got none at place 1");
}

namespace {

/// In pairs, pairs of pairs and so on: the first 2^k of them, then the rest.
float in_pairs(std::span<float const> parts) {
  std::size_t first = 1;
  while (2 * first < parts.size()) first *= 2;
  return parts.size() == 1 ? parts[0] : in_pairs(parts.first(first)) + in_pairs(parts.subspan(first));
}

}  // namespace

TEST_CASE("all_reduce_in_pairs adds pairs of pairs, for any number of ranks", "[host][group]") {
  // 1 + e is 1 in f32, e + e is not lost beside it: (1 + e) + (e + e) is 1 + 2e, one after the other all are lost.
  float const e = 0x1p-24f;
  CHECK(in_pairs(std::vector<float>{1, e, e, e}) == 1 + 2 * e);
  for (std::size_t ranks = 1; ranks <= 9; ++ranks)
    for (std::size_t const n : {1u, 17u, 300u}) {
      std::vector<std::vector<float>> data(ranks);
      std::vector<float> expected;
      for (std::size_t i = 0; i < n; ++i) {
        std::vector<float> parts(ranks, e);
        parts[i % ranks] = 1;  // each place has its large part on another rank
        for (std::size_t r = 0; r < ranks; ++r) data[r].push_back(parts[r]);
        expected.push_back(in_pairs(parts));
      }
      group g("data ranks", static_cast<int>(ranks), 10s);
      on_ranks(static_cast<int>(ranks),
               [&](int rank) { g.all_reduce_in_pairs(rank, data[static_cast<std::size_t>(rank)].data(), n); });
      INFO(ranks << " ranks, " << n << " elements");
      for (auto const& d : data) CHECK(d == expected);
    }
}

TEST_CASE("all_reduce repeats, in f64 and over no elements too", "[host][group]") {
  group g("tied", 2, 10s);
  std::vector<std::vector<double>> data{std::vector<double>(100, 1.0), std::vector<double>(100, 2.0)};
  on_ranks(2, [&](int rank) {
    auto& mine = data[static_cast<std::size_t>(rank)];
    for (int i = 0; i < 10; ++i) g.all_reduce(rank, mine.data(), mine.size());
    g.all_reduce(rank, mine.data(), 0);
  });
  // The first sum is 3 everywhere; each of the nine others doubles it.
  CHECK(data[0] == std::vector<double>(100, 3.0 * 512.0));
  CHECK(data[1] == data[0]);
}

TEMPLATE_TEST_CASE("all_reduce sums 16 bits in f32 and rounds once", "[host][group]", mpx::bf16, mpx::f16) {
  // Beside 256, bf16 knows even numbers and f16 quarters. The parts are half of that distance, e: added one by one and
  // rounded to even each time, both would be lost; in f32 their sum, the distance itself, is not.
  float const e = std::is_same_v<TestType, mpx::bf16> ? 1.0f : 0.125f;
  REQUIRE(static_cast<float>(TestType(256.0f + e)) == 256.0f);
  float const parts[3] = {256.0f, e, e};
  for (std::size_t const n : {1u, 31u, 32u, 33u, 300u, 5000u}) {
    std::vector<std::vector<TestType>> data;
    for (float const part : parts) data.emplace_back(n, TestType(part));
    group g("tensor ranks", 3, 10s);
    on_ranks(3, [&](int rank) { g.all_reduce(rank, data[static_cast<std::size_t>(rank)].data(), n); });
    for (auto const& d : data)
      CHECK(std::all_of(d.begin(), d.end(), [&](TestType x) { return static_cast<float>(x) == 256.0f + 2 * e; }));
  }
}

TEMPLATE_TEST_CASE("all_reduce_max gives every rank the largest of each place", "[host][group]", float, double,
                   mpx::bf16, mpx::f16) {
  using A = mpx::accumulator_t<TestType>;
  for (int const ranks : {1, 2, 3})
    for (std::size_t const n : {1u, 17u, 300u, 5000u}) {
      // Each place is largest on another rank, in turn: -1 there, -2 and -3 on the others.
      std::vector<std::vector<TestType>> data(static_cast<std::size_t>(ranks));
      for (std::size_t r = 0; r < data.size(); ++r)
        for (std::size_t i = 0; i < n; ++i) data[r].push_back(TestType(-1 - A((r + i) % data.size())));
      group g("tensor ranks", ranks, 10s);
      on_ranks(ranks, [&](int rank) { g.all_reduce_max(rank, data[static_cast<std::size_t>(rank)].data(), n); });
      for (auto const& d : data)
        CHECK(std::all_of(d.begin(), d.end(), [](TestType x) { return static_cast<A>(x) == A(-1); }));
    }
}

TEST_CASE("sums and maxima take turns in one group of three", "[host][group]") {
  // Row by row as a loss does: the largest of 1, 2, 3 is 3; three of it are 9.
  std::vector<std::vector<float>> data{{1, 3}, {2, 2}, {3, 1}};
  group g("tensor ranks", 3, 10s);
  on_ranks(3, [&](int rank) {
    auto& mine = data[static_cast<std::size_t>(rank)];
    for (int i = 0; i < 3; ++i) {
      g.all_reduce_max(rank, mine.data(), mine.size());
      g.all_reduce(rank, mine.data(), mine.size());
    }
  });
  for (auto const& d : data) CHECK(d == std::vector<float>{81, 81});
}

TEST_CASE("a group counts the bytes that each rank brings", "[host][group]") {
  group g("tensor ranks", 2, 10s, 3);
  std::vector<float> a(5), b(5), c(5);
  mpx::summand<float> const first[] = {{a.data(), 0}, {b.data(), 1}}, second[] = {{c.data(), 2}};
  on_ranks(2, [&](int rank) {
    g.all_reduce(rank, rank == 0 ? std::span<mpx::summand<float> const>(first) : std::span(second), 5);
    g.barrier(rank);
  });
  CHECK(g.bytes_brought(0) == 2 * 5 * 4);
  CHECK(g.bytes_brought(1) == 5 * 4);

  group one_each("tensor ranks", 3, 10s);
  std::vector<std::vector<mpx::bf16>> data(3, std::vector<mpx::bf16>(7));
  on_ranks(3, [&](int rank) {
    auto& mine = data[static_cast<std::size_t>(rank)];
    one_each.all_reduce(rank, mine.data(), 7);
    one_each.all_reduce_max(rank, mine.data(), 2);
    one_each.all_reduce(rank, mine.data(), 0);
  });
  for (int rank = 0; rank < 3; ++rank) CHECK(one_each.bytes_brought(rank) == 7 * 2 + 2 * 2);
}

TEST_CASE("a rank that waits past the deadline says for how many", "[host][group]") {
  group g("all", 2, 20ms);
  try {
    g.barrier(1);
    FAIL("a barrier of 2 let 1 pass");
  } catch (mpx::error const& e) {
    CHECK(std::string(e.what()) ==
          "barrier: rank 1 waits past the deadline (all): expected all ranks within 20 ms, got 1 of 2, without rank 0");
  }
}

TEST_CASE("ranks that disagree on the number of elements of a maximum all get an error", "[host][group]") {
  group g("tensor ranks", 3, 10s);
  std::vector<std::vector<float>> data{{1, 1}, {2, 2}, {3, 3}};
  std::atomic<int> errors{0};
  on_ranks(3, [&](int rank) {
    try {
      g.all_reduce_max(rank, data[static_cast<std::size_t>(rank)].data(), rank == 1 ? 1 : 2);
    } catch (mpx::error const&) {
      ++errors;
    }
  });
  CHECK(errors == 3);
  CHECK(data == std::vector<std::vector<float>>{{1, 1}, {2, 2}, {3, 3}});
  CHECK(g.bytes_brought(0) == 0);
}

TEST_CASE("ranks that disagree on the number of elements all get an error", "[host][group]") {
  group g("tied", 2, 10s);
  std::vector<float> data(8, 1.0f), other(8, 1.0f);
  std::atomic<int> errors{0};
  on_ranks(2, [&](int rank) {
    try {
      g.all_reduce(rank, rank == 0 ? data.data() : other.data(), rank == 0 ? 8 : 7);
    } catch (mpx::error const&) {
      ++errors;
    }
  });
  CHECK(errors == 2);
  CHECK(data == std::vector<float>(8, 1.0f));
}

TEST_CASE("abort wakes all ranks; open makes the group new", "[host][group]") {
  group g("all", 3, 10s);
  std::atomic<int> woken{0};
  on_ranks(3, [&](int rank) {
    try {
      if (rank == 2) {
        std::this_thread::sleep_for(5ms);
        g.abort();
      }
      g.barrier(rank);
    } catch (aborted const&) {
      ++woken;
    }
  });
  CHECK(woken == 3);
  g.open();
  on_ranks(3, [&](int rank) { g.barrier(rank); });
}

TEST_CASE("a group needs a rank", "[host][group]") { CHECK_THROWS_AS(group("none", 0, 1s), mpx::error); }
