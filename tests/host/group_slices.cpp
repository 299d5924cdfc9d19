// host/group.hpp: slices of sums, and sums in three parts.
#include <mpx_test.hpp>

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <initializer_list>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <mpx/core/random.hpp>
#include <mpx/host/group.hpp>

#include "host/on_ranks.hpp"

using mpx::aborted;
using mpx::on_host::group;
using test::on_ranks;
using namespace std::chrono_literals;

namespace {

/// Bounds of slices: one after the other, of these sizes.
std::vector<std::size_t> bounds(std::initializer_list<std::size_t> sizes) {
  std::vector<std::size_t> out{0};
  for (auto const size : sizes) out.push_back(out.back() + size);
  return out;
}

/// Each rank's own numbers, of very different sizes, so that another order of sums is another result.
template <class T>
std::vector<std::vector<T>> numbers_of_ranks(std::size_t ranks, std::size_t n) {
  std::vector<std::vector<T>> data(ranks);
  for (std::size_t r = 0; r < ranks; ++r)
    for (std::size_t i = 0; i < n; ++i) {
      auto const word = mpx::philox({static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(r), 0, 0}, 7);
      data[r].push_back(T(static_cast<float>(std::ldexp(mpx::uniform(word[0]) - 0.5f, static_cast<int>(word[1] % 12)))));
    }
  return data;
}

template <class T>
bool same_bits(T const* a, T const* b, std::size_t n) {
  return n == 0 || std::memcmp(a, b, n * sizeof(T)) == 0;
}

}  // namespace

TEMPLATE_TEST_CASE("reduce_scatter gives a slice the bits of all_reduce, in both orders", "[host][group]", float, double,
                   mpx::bf16, mpx::f16) {
  std::vector<std::vector<std::size_t>> const tables[] = {
      {bounds({7})},                                                       // one rank: its own numbers
      {bounds({300, 300}), bounds({0, 5}), bounds({5, 0}), bounds({1, 700})},  // equal, empty, unequal
      {bounds({100, 100, 100}), bounds({1, 0, 513}), bounds({0, 0, 0})},
      {bounds({16, 16, 16, 5}), bounds({257, 3, 256, 1})}};
  for (std::size_t ranks = 1; ranks <= 4; ++ranks)
    for (auto const& table : tables[ranks - 1])
      for (bool const pairs : {false, true}) {
        if constexpr (sizeof(TestType) == 2)
          if (pairs) continue;  // only sums of gradients are taken in pairs
        std::size_t const n = table.back();
        auto whole = numbers_of_ranks<TestType>(ranks, n), parts = whole;
        auto const before = parts;
        std::vector<std::vector<TestType>> apart(ranks, std::vector<TestType>(n + 1));
        group g("data ranks", static_cast<int>(ranks), 10s);
        on_ranks(static_cast<int>(ranks), [&](int rank) {
          auto const r = static_cast<std::size_t>(rank);
          std::span<std::size_t const> const slices(table);
          if constexpr (sizeof(TestType) > 2) {
            if (pairs) {
              g.all_reduce_in_pairs(rank, whole[r].data(), n);
              g.reduce_scatter_in_pairs(rank, parts[r].data(), apart[r].data(), slices);
              g.reduce_scatter_in_pairs(rank, parts[r].data(), parts[r].data() + table[r], slices);
              return;
            }
          }
          g.all_reduce(rank, whole[r].data(), n);
          g.reduce_scatter(rank, parts[r].data(), apart[r].data(), slices);
          g.reduce_scatter(rank, parts[r].data(), parts[r].data() + table[r], slices);
        });
        INFO(ranks << " ranks, " << n << " elements, " << (pairs ? "in pairs" : "one by one"));
        for (std::size_t r = 0; r < ranks; ++r) {
          std::size_t const begin = table[r], size = table[r + 1] - begin;
          CHECK(same_bits(apart[r].data(), whole[r].data() + begin, size));
          CHECK(same_bits(parts[r].data() + begin, whole[r].data() + begin, size));
          CHECK(same_bits(parts[r].data(), before[r].data(), begin));  // what is not its slice is as it was
          CHECK(same_bits(parts[r].data() + begin + size, before[r].data() + begin + size, n - begin - size));
          CHECK(same_bits(apart[r].data() + size, std::vector<TestType>(n + 1).data(), n + 1 - size));
          CHECK(g.bytes_brought(static_cast<int>(r)) == 3 * n * sizeof(TestType));
        }
      }
}

TEMPLATE_TEST_CASE("all_gather gives every rank all slices", "[host][group]", float, double, mpx::bf16, mpx::f16) {
  for (auto const& table : {bounds({4, 4, 4}), bounds({0, 300, 1}), bounds({1, 0, 0}), bounds({0, 0, 0})}) {
    std::size_t const n = table.back();
    auto const expected = numbers_of_ranks<TestType>(1, n)[0];
    std::vector<std::vector<TestType>> in_place(3, std::vector<TestType>(n)), apart = in_place, slices(3);
    for (std::size_t r = 0; r < 3; ++r) {
      slices[r].assign(expected.begin() + static_cast<long>(table[r]), expected.begin() + static_cast<long>(table[r + 1]));
      std::copy(slices[r].begin(), slices[r].end(), in_place[r].begin() + static_cast<long>(table[r]));
    }
    group g("tensor ranks", 3, 10s);
    on_ranks(3, [&](int rank) {
      auto const r = static_cast<std::size_t>(rank);
      g.all_gather(rank, slices[r].data(), apart[r].data(), table);
      g.all_gather(rank, in_place[r].data() + table[r], in_place[r].data(), table);
    });
    for (std::size_t r = 0; r < 3; ++r) {
      CHECK(same_bits(apart[r].data(), expected.data(), n));
      CHECK(same_bits(in_place[r].data(), expected.data(), n));
      CHECK(g.bytes_brought(static_cast<int>(r)) == 2 * (table[r + 1] - table[r]) * sizeof(TestType));
    }
  }
}

TEMPLATE_TEST_CASE("broadcast gives every rank the root's data", "[host][group]", float, double, mpx::bf16, mpx::f16) {
  for (int const root : {0, 1, 2})
    for (std::size_t const n : {0u, 1u, 300u}) {
      auto data = numbers_of_ranks<TestType>(3, n);
      auto const expected = data[static_cast<std::size_t>(root)];
      group g("data ranks", 3, 10s);
      on_ranks(3, [&](int rank) { g.broadcast(rank, root, data[static_cast<std::size_t>(rank)].data(), n); });
      for (auto const& d : data) CHECK(same_bits(d.data(), expected.data(), n));
      for (int rank = 0; rank < 3; ++rank) CHECK(g.bytes_brought(rank) == (rank == root ? n * sizeof(TestType) : 0));
    }
}

TEST_CASE("ranks that disagree on slices, on sizes or on the root all get an error, and write nothing", "[host][group]") {
  auto const equal = bounds({2, 2}), other = bounds({1, 3}), longer = bounds({2, 3}), short_table = bounds({4});
  std::vector<std::vector<float>> data{{1, 2, 3, 4, 5}, {6, 7, 8, 9, 10}};
  auto const before = data;
  group g("data ranks", 2, 10s);
  auto const messages = [&](auto f) {
    std::vector<std::string> said(2);
    on_ranks(2, [&](int rank) {
      auto const r = static_cast<std::size_t>(rank);
      try {
        f(rank, data[r].data());
      } catch (mpx::error const& e) {
        said[r] = e.what();
      }
    });
    g.open();
    CHECK(data == before);
    CHECK(g.bytes_brought(0) == 0);
    return said;
  };
  std::string const slices = " over different slices (data ranks): expected the same bounds on every rank, got others";
  CHECK(messages([&](int rank, float* d) { g.reduce_scatter(rank, d, d + 2 * rank, rank == 0 ? equal : other); }) ==
        std::vector<std::string>(2, "reduce_scatter" + slices));
  CHECK(messages([&](int rank, float* d) { g.all_gather(rank, d + 2 * rank, d, rank == 0 ? equal : other); }) ==
        std::vector<std::string>(2, "all_gather" + slices));
  CHECK(messages([&](int rank, float* d) { g.reduce_scatter(rank, d, d + 2 * rank, rank == 0 ? equal : longer); })[1] ==
        "reduce_scatter over different numbers of elements (data ranks): expected rank 1 with 5, got rank 0 with 4");
  CHECK(messages([&](int rank, float* d) { g.broadcast(rank, rank, d, 4); }) ==
        std::vector<std::string>{"broadcast from different ranks (data ranks): expected rank 0 with the data, got others",
                                 "broadcast from different ranks (data ranks): expected rank 1 with the data, got others"});
  CHECK(messages([&](int rank, float* d) { g.all_gather(rank, d, d, short_table); })[0] ==
        "all_gather without a slice for each rank (data ranks): expected 3 bounds that begin at 0 and never fall, got 2 "
        "bounds");
}

TEMPLATE_TEST_CASE("a sum in three parts is an all_reduce or a reduce_scatter, bit for bit", "[host][group]", float, double) {
  for (std::size_t ranks = 1; ranks <= 4; ++ranks)
    for (auto const order : {mpx::sum_order::one_by_one, mpx::sum_order::in_pairs}) {
      // Number k has a size of its own; its slices are of unequal sizes, and the first is empty.
      constexpr std::size_t sums = 3;
      std::vector<std::vector<std::vector<TestType>>> whole, apart;
      std::vector<std::vector<std::size_t>> tables;
      for (std::size_t k = 0; k < sums; ++k) {
        auto& table = tables.emplace_back(1, 0);
        for (std::size_t r = 0; r < ranks; ++r) table.push_back(table.back() + 301 * k * r);
        whole.push_back(numbers_of_ranks<TestType>(ranks, table.back()));
      }
      apart = whole;
      auto expected = whole;
      group g("data ranks", static_cast<int>(ranks), 10s), other("data ranks", static_cast<int>(ranks), 10s);
      on_ranks(static_cast<int>(ranks), [&](int rank) {
        auto const r = static_cast<std::size_t>(rank);
        for (std::size_t k = 0; k < sums; ++k) {
          auto& mine = expected[k][r];
          if (order == mpx::sum_order::in_pairs) g.all_reduce_in_pairs(rank, mine.data(), mine.size());
          else g.all_reduce(rank, mine.data(), mine.size());
        }
        for (std::size_t k = 0; k < 2 * sums; ++k) {
          auto& mine = (k < sums ? whole : apart)[k % sums][r];
          std::span<std::size_t const> const slices(tables[k % sums]);
          other.begin_sum(rank, k, mine.data(), mine.size(), k < sums ? std::span<std::size_t const>() : slices, order);
        }
        for (std::size_t k = 2 * sums; k-- > 0;) other.take_sum<TestType>(rank, k);
        for (std::size_t k = 0; k < 2 * sums; ++k) other.end_sum(rank, k);
      });
      INFO(ranks << " ranks");
      for (std::size_t k = 0; k < sums; ++k)
        for (std::size_t r = 0; r < ranks; ++r) {
          CHECK(same_bits(whole[k][r].data(), expected[k][r].data(), tables[k].back()));
          std::size_t const begin = tables[k][r], size = tables[k][r + 1] - begin;
          CHECK(same_bits(apart[k][r].data() + begin, expected[k][r].data() + begin, size));
          CHECK(other.bytes_brought(static_cast<int>(r)) == 2 * g.bytes_brought(static_cast<int>(r)));
        }
    }
}

TEST_CASE("a rank that begins a sum does not wait for the others", "[host][group]") {
  group g("data ranks", 2, 10s);
  float data[2][2] = {{1, 10}, {2, 20}};
  // One thread plays both ranks, one after the other, twice: no call may wait.
  for (int round = 0; round < 2; ++round) {
    for (int rank : {0, 1})
      for (std::size_t k : {0u, 1u}) g.begin_sum(rank, k, &data[rank][k], 1, {}, mpx::sum_order::one_by_one);
    for (int rank : {1, 0})
      for (std::size_t k : {1u, 0u}) g.take_sum<float>(rank, k);
    for (int rank : {0, 1})
      for (std::size_t k : {0u, 1u}) g.end_sum(rank, k);
  }
  for (auto const& d : data) CHECK((d[0] == 6 && d[1] == 60));
  CHECK(g.bytes_brought(1) == 4 * sizeof(float));
}

TEST_CASE("a sum in three parts waits up to the deadline, and fails on all ranks alike", "[host][group]") {
  float data[2] = {1, 2};
  auto const order = mpx::sum_order::one_by_one;
  std::string const late = ": expected all ranks within 20 ms, got 1 of 2, without rank 1";
  group g("data ranks", 2, 20ms);
  g.begin_sum(0, 0, data, 1, {}, order);
  CHECK_THROWS_WITH(g.take_sum<float>(0, 0), "sum: rank 0 waits past the deadline (data ranks)" + late);
  g.begin_sum(1, 0, data + 1, 1, {}, order);
  g.take_sum<float>(0, 0);
  CHECK_THROWS_WITH(g.end_sum(0, 0), "sum: rank 0 waits past the deadline (data ranks)" + late);
  g.take_sum<float>(1, 0);
  g.end_sum(0, 0);
  CHECK((data[0] == 3 && data[1] == 3));
  CHECK_THROWS_WITH(g.begin_sum(0, 0, data, 1, {}, order), "sum: rank 0 waits past the deadline (data ranks)" + late);
  g.end_sum(1, 0);
  g.begin_sum(0, 0, data, 1, {}, order);  // and now its number is free
  g.begin_sum(1, 0, data, 2, {}, order);
  CHECK_THROWS_WITH(g.take_sum<float>(0, 0),
                    "sum over different numbers of elements (data ranks): expected rank 0 with 1, got rank 1 with 2");
  CHECK_THROWS_WITH(g.take_sum<float>(1, 0),
                    "sum over different numbers of elements (data ranks): expected rank 1 with 2, got rank 0 with 1");
  g.abort();
  CHECK_THROWS_AS(g.begin_sum(0, 1, data, 1, {}, order), aborted);
  g.open();
  auto const one = bounds({1, 0}), other = bounds({0, 1});
  g.begin_sum(0, 0, data, 1, one, order);
  g.begin_sum(1, 0, data + 1, 1, other, order);
  CHECK_THROWS_WITH(g.take_sum<float>(1, 0),
                    "sum over different slices (data ranks): expected the same bounds on every rank, got others");
  CHECK((data[0] == 3 && data[1] == 3));
}

TEST_CASE("a rank that waits in vain for slices says so; abort ends the wait", "[host][group]") {
  auto const table = bounds({2, 2});
  std::vector<float> data(4);
  group late("data ranks", 2, 20ms);
  CHECK_THROWS_WITH(late.reduce_scatter(0, data.data(), data.data(), table),
                    "reduce_scatter: rank 0 waits past the deadline (data ranks): expected all ranks within 20 ms, got 1 "
                    "of 2, without rank 1");
  group g("data ranks", 2, 10s);
  std::atomic<int> woken{0};
  on_ranks(2, [&](int rank) {
    if (rank == 1) {
      std::this_thread::sleep_for(5ms);
      return g.abort();
    }
    try {
      g.all_gather(rank, data.data(), data.data(), table);
    } catch (aborted const&) {
      ++woken;
    }
  });
  CHECK(woken == 1);
}
