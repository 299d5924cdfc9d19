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
      if (processes) groups_.push_back(std::make_unique<group>("ranks", ranks, deadline, summands, where, r));
      else groups_.push_back(std::make_unique<group>("ranks", ranks, deadline, summands));
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
          after[static_cast<std::size_t>(rank)] = laws::after_collectives<TestType>(mine, several[rank], rank, slices, [](auto numbers) {
            return laws::host_numbers<TestType>(std::move(numbers));
          });
        });
        CAPTURE(ranks, slices, processes);
        CHECK(said == std::vector<std::string>(ranks));
        for (std::size_t r = 0; r < ranks; ++r) CHECK(laws::first_other(after[r], expected[r]) == -1);
      }
    }
}
