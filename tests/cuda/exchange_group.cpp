// backend/exchange_group.hpp over a network of threads: what a GPU's library is asked for, without one.
#include <mpx_test.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <mpx/backend/concepts.hpp>
#include <mpx/backend/exchange_group.hpp>

#include "fake_line.hpp"
#include "host/on_ranks.hpp"
#include "laws/group.hpp"

using group = mpx::exchange_group<test::fake_line>;
using mpx::aborted;
using test::on_ranks;
using namespace std::chrono_literals;

static_assert(mpx::group<group>);

namespace {

/// One group for all ranks, threads of a process; or one for each, as processes have.
class ranks_of {
 public:
  ranks_of(int ranks, std::chrono::milliseconds deadline, bool processes, std::size_t summands = 0) {
    if (summands == 0) summands = static_cast<std::size_t>(ranks);
    auto const where = group::address::make();
    for (int r = 0; r < (processes ? ranks : 1); ++r)
      if (processes)
        groups_.push_back(std::make_unique<group>("ranks", ranks, deadline, summands, where, r));
      else
        groups_.push_back(std::make_unique<group>("ranks", ranks, deadline, summands));
  }
  ranks_of(ranks_of const&) = delete;
  ranks_of& operator=(ranks_of const&) = delete;
  ~ranks_of() {
    on_ranks(static_cast<int>(groups_.size()), [&](int rank) { groups_[static_cast<std::size_t>(rank)].reset(); });
  }
  group& operator[](int rank) { return *groups_[groups_.size() > 1 ? static_cast<std::size_t>(rank) : 0]; }

 private:
  std::vector<std::unique_ptr<group>> groups_;
};

/// What each rank's f(group, rank) throws; nothing where it throws nothing.
std::vector<std::string> said_by(ranks_of& groups, int ranks, std::function<void(group&, int)> const& f) {
  std::vector<std::string> said(static_cast<std::size_t>(ranks));
  on_ranks(ranks, [&](int rank) {
    try {
      f(groups[rank], rank);
    } catch (std::exception const& e) {
      said[static_cast<std::size_t>(rank)] = e.what();
    }
  });
  return said;
}

}  // namespace

TEMPLATE_TEST_CASE("every collective over an exchange leaves the bits of the host's, in one process and in several",
                   "[cuda][exchange_group]", float, double, mpx::bf16, mpx::f16) {
  for (std::size_t ranks = 1; ranks <= 5; ++ranks)
    for (auto const& slices : laws::slice_tables(ranks)) {
      auto const expected = laws::after_collectives_of_the_host<TestType>(slices);
      for (bool const processes : {false, true}) {
        int const count = static_cast<int>(ranks);
        ranks_of g(count, 20000ms, processes), several(count, 20000ms, processes, laws::some_bringers(ranks).size());
        std::vector<std::vector<std::vector<TestType>>> after(ranks);
        auto const said = said_by(g, count, [&](group& mine, int rank) {
          after[static_cast<std::size_t>(rank)] = laws::after_collectives<TestType>(
              mine, several[rank], rank, slices, [](auto numbers) { return laws::host_numbers<TestType>(std::move(numbers)); });
        });
        CAPTURE(ranks, slices, processes);
        CHECK(said == std::vector<std::string>(ranks));
        for (std::size_t r = 0; r < ranks; ++r) CHECK(laws::first_other(after[r], expected[r]) == -1);
      }
    }
}

TEST_CASE("an all_reduce carries as many bytes as a ring does", "[cuda][exchange_group]") {
  for (int const ranks : {2, 4}) {
    ranks_of g(ranks, 20000ms, false);
    std::vector<std::vector<float>> data(static_cast<std::size_t>(ranks), std::vector<float>(1600));
    on_ranks(ranks, [&](int rank) { g[rank].all_reduce(rank, data[static_cast<std::size_t>(rank)].data(), 1600); });
    std::size_t const before = test::fake_line::bytes_of_all;  // with what they connect by
    on_ranks(ranks, [&](int rank) { g[rank].all_reduce(rank, data[static_cast<std::size_t>(rank)].data(), 1600); });
    // Each of N ranks receives (N - 1) / N of the elements twice.
    CHECK(test::fake_line::bytes_of_all - before == static_cast<std::size_t>(ranks - 1) * 1600 * 4 * 2);
    for (int rank = 0; rank < ranks; ++rank) CHECK(g[0].bytes_brought(rank) == 2 * 1600 * 4);
  }
}

TEST_CASE("a group over an exchange counts the bytes that the host's group counts", "[cuda][exchange_group]") {
  group g("ranks", 3, 20s), several("ranks", 3, 20s, 5);
  mpx::on_host::group host("ranks", 3, 20s), host_several("ranks", 3, 20s, 5);
  std::vector<std::size_t> const slices{0, 5, 5, 12};
  auto const make = [](std::vector<float> numbers) { return laws::host_numbers<float>(std::move(numbers)); };
  on_ranks(3, [&](int rank) {
    laws::after_collectives<float>(g, several, rank, slices, make);
    laws::after_collectives<float>(host, host_several, rank, slices, make);
  });
  for (int rank = 0; rank < 3; ++rank) {
    CHECK(g.bytes_brought(rank) == host.bytes_brought(rank));
    CHECK(several.bytes_brought(rank) == host_several.bytes_brought(rank));
  }
}

TEST_CASE("a rank that never comes is named at the deadline", "[cuda][exchange_group]") {
  std::vector<float> data(4);
  std::vector<std::size_t> const slices{0, 2, 4, 4};
  std::string const late = " waits past the deadline (ranks): expected all ranks within 100 ms, got ";
  std::pair<char const*, std::function<void(group&, int)>> const collectives[] = {
      {"barrier", [](group& g, int rank) { g.barrier(rank); }},
      {"all_reduce", [](group& g, int rank) { float own[4] = {}; g.all_reduce(rank, own, 4); }},
      {"reduce_scatter", [&](group& g, int rank) { float own[4] = {}; g.reduce_scatter(rank, own, own, slices); }},
      {"all_gather", [&](group& g, int rank) { float own[4] = {}, all[4] = {}; g.all_gather(rank, own, all, slices); }},
      {"broadcast", [](group& g, int rank) { float own[4] = {}; g.broadcast(rank, 0, own, 4); }}};
  for (auto const& [name, call] : collectives) {
    // In one process: before any rank has connected, and afterwards. Who is there may come again.
    ranks_of g(3, 100ms, false);
    std::string const what = name;
    for (int round = 0; round < 2; ++round) {
      auto const said = said_by(g, 3, [&](group& mine, int rank) {
        if (rank != 1) call(mine, rank);
      });
      CHECK(said[0].find(what + ": rank 0" + late) == 0);
      CHECK(said[0].find("without rank") != std::string::npos);
      CHECK(said[2].find(what + ": rank 2" + late) == 0);
      CHECK((said[0] + said[2]).find("2 of 3, without rank 1") != std::string::npos);
      CHECK(said_by(g, 3, call) == std::vector<std::string>(3));
    }
    // In several, after all have connected.
    ranks_of processes(3, 100ms, true);
    CHECK(said_by(processes, 3, [](group& mine, int rank) { mine.barrier(rank); }) == std::vector<std::string>(3));
    auto const said = said_by(processes, 3, [&](group& mine, int rank) {
      if (rank != 1) call(mine, rank);
    });
    CHECK(said[0] == what + ": rank 0" + late + "2 of 3, without rank 1");
    CHECK(said[2] == what + ": rank 2" + late + "2 of 3, without rank 1");
    CHECK_THROWS_AS(call(processes[0], 0), aborted);  // its line is given up
    CHECK_THROWS_WITH(processes[0].open(),
                      "a group of processes is over (ranks): expected a new group with a new address, got open()");
  }
}

TEST_CASE("a process that never comes ends the others' looking for it", "[cuda][exchange_group]") {
  ranks_of g(2, 50ms, true);
  CHECK_THROWS_WITH(g[0].barrier(0),
                    "connect: rank 0 waits past the deadline (ranks): expected all ranks within 50 ms, got not all of 2");
  CHECK_THROWS_WITH(g[1].barrier(0), "a rank of another process (ranks): expected rank 1, got rank 0");
}

TEST_CASE("a rank that dies in an exchange ends it at the deadline, and open() connects anew", "[cuda][exchange_group]") {
  // Both say that they bring 4 elements; one is gone before its line connects.
  group g("ranks", 2, 100ms);
  std::vector<float> one(4, 1.0f), two(4, 2.0f);
  CHECK_THROWS_WITH(
      g.begin_sum(0, 0, one.data(), 4, {}, mpx::sum_order::one_by_one),
      "connect: rank 0 waits past the deadline (ranks): expected all ranks within 100 ms, got 1 of 2, without rank 1");
  CHECK_THROWS_AS(g.all_reduce(0, one.data(), 4), aborted);
  g.open();
  on_ranks(2, [&](int rank) { g.all_reduce(rank, (rank == 0 ? one : two).data(), 4); });
  CHECK(one == std::vector<float>(4, 3.0f));
  CHECK(two == one);
  g.begin_sum(0, 0, one.data(), 4, {}, mpx::sum_order::one_by_one);  // waits for nobody: they are connected
  CHECK_THROWS_WITH(g.take_sum<float>(0, 0),
                    "sum: rank 0 waits past the deadline (ranks): expected all ranks within 100 ms, got 1 of 2, without rank 1");
  g.begin_sum(1, 0, two.data(), 4, {}, mpx::sum_order::one_by_one);
  g.take_sum<float>(0, 0);
  CHECK_THROWS_WITH(g.end_sum(0, 0),
                    "sum: rank 0 waits past the deadline (ranks): expected all ranks within 100 ms, got 1 of 2, without rank 1");
  g.take_sum<float>(1, 0);
  g.end_sum(0, 0);
  g.end_sum(1, 0);
  CHECK(one == std::vector<float>(4, 6.0f));
  CHECK(two == one);
}

TEST_CASE("a network that fails is an error, and given up", "[cuda][exchange_group]") {
  ranks_of g(2, 20000ms, false);
  std::vector<float> data[2] = {std::vector<float>(4), std::vector<float>(4)};
  auto const sum = [&](group& mine, int rank) { mine.all_reduce(rank, data[rank].data(), 4); };
  CHECK(said_by(g, 2, sum) == std::vector<std::string>(2));
  test::fake_line::network_is_down = true;
  auto const said = said_by(g, 2, sum);
  test::fake_line::network_is_down = false;
  for (std::size_t r = 0; r < 2; ++r)
    CHECK(said[r] ==
          "all_reduce: rank " + std::to_string(r) + " cannot reach the others (ranks): got the network is down (fake)");
  CHECK_THROWS_AS(sum(g[0], 0), aborted);
  g[0].open();
  CHECK(said_by(g, 2, sum) == std::vector<std::string>(2));
}

TEST_CASE("abort wakes the ranks of a process, wherever they wait; open makes the group new", "[cuda][exchange_group]") {
  group g("ranks", 3, 20s);
  std::vector<std::vector<float>> data(3, std::vector<float>(100, 1.0f));
  std::atomic<int> woken{0};
  auto const all_wake = [&](auto wait) {
    woken = 0;
    on_ranks(3, [&](int rank) {
      try {
        if (rank == 2) {
          std::this_thread::sleep_for(10ms);
          return g.abort();
        }
        wait(rank, data[static_cast<std::size_t>(rank)].data());
      } catch (aborted const&) {
        ++woken;
      }
    });
    CHECK(woken == 2);
    CHECK_THROWS_AS(g.barrier(2), aborted);
    g.open();
    for (auto& d : data) d.assign(100, 1.0f);
    on_ranks(3, [&](int rank) { g.all_reduce(rank, data[static_cast<std::size_t>(rank)].data(), 100); });
    for (auto const& d : data) CHECK(d == std::vector<float>(100, 3.0f));
  };
  auto const order = mpx::sum_order::in_pairs;
  all_wake([&](int rank, float* d) { g.begin_sum(rank, 0, d, 100, {}, order); });  // while they connect
  all_wake([&](int rank, float*) { g.barrier(rank); });
  all_wake([&](int rank, float* d) { g.all_reduce(rank, d, 100); });
  all_wake([&](int rank, float* d) {
    g.begin_sum(rank, 0, d, 100, {}, order);
    g.take_sum<float>(rank, 0);
  });
}

TEST_CASE("abort ends an exchange under way", "[cuda][exchange_group]") {
  // As processes have it, a rank waits in an exchange itself.
  ranks_of g(2, 20000ms, true);
  CHECK(said_by(g, 2, [](group& mine, int rank) { mine.barrier(rank); }) == std::vector<std::string>(2));
  std::thread other([&] {
    std::this_thread::sleep_for(10ms);
    g[0].abort();
  });
  CHECK_THROWS_AS(g[0].barrier(0), aborted);
  other.join();
}

TEST_CASE("ranks that do not agree over an exchange all get the host's error, and write nothing", "[cuda][exchange_group]") {
  std::vector<std::size_t> const equal{0, 2, 4}, other{0, 1, 4}, longer{0, 2, 5}, short_table{0, 4};
  std::string const slices = " over different slices (ranks): expected the same bounds on every rank, got others";
  for (bool const processes : {false, true}) {
    std::vector<std::vector<float>> data{{1, 2, 3, 4, 5}, {6, 7, 8, 9, 10}};
    auto const before = data;
    ranks_of g(2, 20000ms, processes);
    auto const said = [&](auto f) {
      auto const all = said_by(g, 2, [&](group& mine, int rank) { f(mine, rank, data[static_cast<std::size_t>(rank)].data()); });
      CHECK(data == before);
      CHECK(g[0].bytes_brought(0) == 0);
      return all;
    };
    CHECK(said([&](group& mine, int rank, float* d) { mine.reduce_scatter(rank, d, d + 2 * rank, rank == 0 ? equal : other); }) ==
          std::vector<std::string>(2, "reduce_scatter" + slices));
    CHECK(said([&](group& mine, int rank, float* d) { mine.all_gather(rank, d + 2 * rank, d, rank == 0 ? equal : other); }) ==
          std::vector<std::string>(2, "all_gather" + slices));
    CHECK(said([&](group& mine, int rank, float* d) {
            mine.reduce_scatter(rank, d, d + 2 * rank, rank == 0 ? equal : longer);
          }) == std::vector<std::string>{
                    "reduce_scatter over different numbers of elements (ranks): expected rank 0 with 4, got rank 1 with 5",
                    "reduce_scatter over different numbers of elements (ranks): expected rank 1 with 5, got rank 0 with 4"});
    CHECK(said([&](group& mine, int rank, float* d) { mine.all_reduce_max(rank, d, rank == 0 ? 4 : 3); })[1] ==
          "all_reduce over different numbers of elements (ranks): expected rank 1 with 3, got rank 0 with 4");
    CHECK(said([&](group& mine, int rank, float* d) { mine.broadcast(rank, rank, d, 4); }) ==
          std::vector<std::string>{"broadcast from different ranks (ranks): expected rank 0 with the data, got others",
                                   "broadcast from different ranks (ranks): expected rank 1 with the data, got others"});
    CHECK(said([&](group& mine, int rank, float* d) { mine.all_gather(rank, d, d, short_table); })[0] ==
          "all_gather without a slice for each rank (ranks): expected 3 bounds that begin at 0 and never fall, got 2 bounds");
    CHECK(said([&](group& mine, int rank, float* d) {
            if (rank == 0)
              mine.all_reduce(rank, d, 4);
            else
              mine.broadcast(rank, 0, d, 4);
          })[0] ==
          "ranks in different collectives (ranks): expected rank 0 in all_reduce (kind 1, number 0, elements of 4 bytes), got "
          "rank 1 in broadcast (kind 7, number 0, elements of 4 bytes)");
    // And after all that, they agree.
    CHECK(said_by(g, 2, [&](group& mine, int rank) { mine.all_reduce(rank, data[static_cast<std::size_t>(rank)].data(), 5); }) ==
          std::vector<std::string>(2));
    CHECK(data[1] == std::vector<float>{7, 9, 11, 13, 15});
  }
}

TEST_CASE("an all_reduce over an exchange without one of its summands, or with one too many, is an error",
          "[cuda][exchange_group]") {
  for (bool const processes : {false, true}) {
    std::vector<float> data(4, 1.0f);
    ranks_of g(2, 20000ms, processes, 3);
    auto const said = [&](std::vector<std::size_t> const& first, std::vector<std::size_t> const& second) {
      return said_by(g, 2, [&](group& mine, int rank) {
        std::vector<float> own(4, 1.0f);
        std::vector<mpx::summand<float>> brought;
        for (auto const place : rank == 0 ? first : second) brought.push_back({own.data(), place});
        mine.all_reduce(rank, std::span<mpx::summand<float> const>(brought), 4);
      });
    };
    CHECK(said({0}, {2}) == std::vector<std::string>(
                                2, "all_reduce without one of its summands (ranks): expected 3 summands, got none at place 1"));
    CHECK(said({0, 1}, {1, 2}) ==
          std::vector<std::string>(
              2, "all_reduce with a summand twice (ranks): expected one at place 1, got another one of rank 1"));
    CHECK(said({3}, {3}) ==
          std::vector<std::string>(2, "all_reduce with a summand too many (ranks): expected 3 summands, got one at place 3"));
    CHECK(said({0, 1, 2}, {}) == std::vector<std::string>(2));
  }
}

TEST_CASE("ranks that begin a sum of different sizes all get an error when they take it, and the exchange is given up",
          "[cuda][exchange_group]") {
  for (bool const processes : {false, true}) {
    std::vector<std::vector<float>> data(3, std::vector<float>(200, 1.0f));
    ranks_of g(3, 20000ms, processes);
    auto const said = said_by(g, 3, [&](group& mine, int rank) {
      mine.begin_sum(rank, 0, data[static_cast<std::size_t>(rank)].data(), rank == 2 ? 150 : 200, {}, mpx::sum_order::one_by_one);
      mine.take_sum<float>(rank, 0);
    });
    std::string const different = "sum over different numbers of elements (ranks): expected rank ";
    CHECK(said == std::vector<std::string>{different + "0 with 200, got rank 2 with 150",
                                           different + "1 with 200, got rank 2 with 150",
                                           different + "2 with 150, got rank 0 with 200"});
    for (auto const& d : data) CHECK(d == std::vector<float>(200, 1.0f));
    CHECK_THROWS_AS(g[0].barrier(0), aborted);
    if (processes) continue;
    g[0].open();
    CHECK(said_by(g, 3, [&](group& mine, int rank) {
            mine.all_reduce(rank, data[static_cast<std::size_t>(rank)].data(), 200);
          }) == std::vector<std::string>(3));
    CHECK(data[2] == std::vector<float>(200, 3.0f));
  }
}

TEST_CASE("ranks that go on to different collectives while a sum is under way get an error, and the exchange is given up",
          "[cuda][exchange_group]") {
  for (bool const processes : {false, true}) {
    std::vector<float> data(200, 1.0f), others(200, 1.0f);
    ranks_of g(2, 20000ms, processes);
    auto const said = said_by(g, 2, [&](group& mine, int rank) {
      mine.begin_sum(rank, 0, rank == 0 ? data.data() : others.data(), 200, {}, mpx::sum_order::one_by_one);
      if (rank == 1) return mine.barrier(rank);
      mine.take_sum<float>(rank, 0);
      mine.end_sum(rank, 0);
    });
    CHECK_THAT(said[0], Catch::Contains("different collectives"));
    CHECK_THAT(said[1], Catch::Contains("different collectives"));
    CHECK_THROWS_AS(g[0].barrier(0), aborted);
    CHECK_THROWS_AS(g[0].end_sum(0, 0), aborted);
  }
}

TEST_CASE("a sum is begun, taken and ended in this order", "[cuda][exchange_group]") {
  group g("ranks", 1, 20s);
  float one = 1;
  std::string const order = " (ranks): expected begin_sum, take_sum, end_sum, got number 2";
  CHECK_THROWS_WITH(g.take_sum<float>(0, 2), "a sum taken that was not begun" + order);
  g.begin_sum(0, 2, &one, 1, {}, mpx::sum_order::one_by_one);
  CHECK_THROWS_WITH(g.end_sum(0, 2), "a sum ended that was not taken" + order);
  CHECK_THROWS_WITH(g.begin_sum(0, 2, &one, 1, {}, mpx::sum_order::one_by_one),
                    "a sum begun again before its end (ranks): expected end_sum first, got number 2");
  g.take_sum<float>(0, 2);
  g.end_sum(0, 2);
  CHECK(one == 1);
}

TEST_CASE("no rank leaves a barrier before the last has come, over an exchange too", "[cuda][exchange_group]") {
  for (bool const processes : {false, true}) {
    ranks_of g(3, 20000ms, processes);
    std::atomic<int> arrived{0}, early{0};
    on_ranks(3, [&](int rank) {
      for (int round = 1; round <= 50; ++round) {
        ++arrived;
        g[rank].barrier(rank);
        if (arrived < 3 * round) ++early;
        g[rank].barrier(rank);
      }
    });
    CHECK(early == 0);
    CHECK(arrived == 150);
  }
}

TEST_CASE("a group over an exchange needs a rank, no more parts than it combines, and a rank of its own",
          "[cuda][exchange_group]") {
  CHECK_THROWS_WITH(group("ranks", 0, 1s), "a group without ranks (ranks): expected at least 1 rank, got 0");
  CHECK_THROWS_WITH(group("ranks", 2, 1s, 65), "a group with too many parts (ranks): expected at most 64, got 65");
  auto const where = group::address::make();
  CHECK_THROWS_WITH(group("ranks", 2, 1s, 2, where, 2), "no such rank (ranks): expected 0 to 1, got 2");
}
