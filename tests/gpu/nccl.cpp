// cuda/nccl.hpp: ranks as processes that share a GPU, against the host's bits. NCCL wants a GPU for each rank of a machine;
// a name of its own for each rank's machine makes them strangers that meet by sockets.
#include "gpu.hpp"
#include "laws/group.hpp"
#include "laws/machine.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <mpx/backend/concepts.hpp>
#include <mpx/cuda/nccl.hpp>

using mpx::on_cuda::nccl_address;
using mpx::on_cuda::nccl_backend;
using mpx::on_cuda::nccl_group;
using namespace std::chrono_literals;

static_assert(mpx::backend<nccl_backend>);

namespace {

/// Memory of the GPU as a rank of a group works with it.
template <class T>
class gpu_numbers {
 public:
  gpu_numbers(mpx::on_cuda::machine& m, std::vector<T> const& numbers)
      : machine_(&m), count_(numbers.size()), memory_(count_ * sizeof(T)) {
    m.upload(memory_.data(), numbers.data(), count_ * sizeof(T));
  }
  [[nodiscard]] T* data() { return reinterpret_cast<T*>(memory_.data()); }
  [[nodiscard]] std::vector<T> read() const {
    std::vector<T> out(count_);
    machine_->download(out.data(), memory_.data(), count_ * sizeof(T));
    return out;
  }

 private:
  mpx::on_cuda::machine* machine_;
  std::size_t count_;
  mpx::on_cuda::memory memory_;
};

/// A rank in a process of its own. The first one makes the addresses, and hands them to the others.
class rank_process {
 public:
  static bool is_one() { return std::getenv("MPX_TEST_RANK") != nullptr; }

  rank_process() {
    for (auto& one : addresses) {
      if (number == 0) one = nccl_address::make();
      std::size_t const size = one.bytes.size();
      // A pipe to each of the others: what is written there waits until it is read.
      for (int r = 1; r < count && number == 0; ++r)
        REQUIRE(write(number_in("MPX_TEST_TO" + std::to_string(r)), one.bytes.data(), size) == static_cast<ssize_t>(size));
      if (number > 0)
        REQUIRE(read(number_in("MPX_TEST_FROM" + std::to_string(number)), one.bytes.data(), size) == static_cast<ssize_t>(size));
    }
  }
  [[nodiscard]] nccl_group group(std::size_t which, std::chrono::milliseconds deadline, std::size_t summands) const {
    return nccl_group("ranks", count, deadline, summands, addresses[which], number);
  }

 private:
  static int number_in(std::string const& name) { return std::atoi(std::getenv(name.c_str())); }

 public:
  int const count = number_in("MPX_TEST_RANKS"), number = number_in("MPX_TEST_RANK");
  std::array<nccl_address, 2> addresses{};
};

/// Runs one case of this program in a process for each rank; whether all of them pass. They are programs of their own, not
/// forks: neither CUDA nor NCCL may have been touched before.
bool passes_on_ranks(int ranks, std::string const& name) {
  std::vector<std::array<int, 2>> pipes(static_cast<std::size_t>(ranks));
  for (auto& ends : pipes)
    if (pipe(ends.data()) != 0) return false;
  std::vector<pid_t> children;
  for (int r = 0; r < ranks; ++r) {
    std::vector<std::pair<std::string, std::string>> settings{{"MPX_TEST_RANK", std::to_string(r)},
                                                              {"MPX_TEST_RANKS", std::to_string(ranks)},
                                                              {"NCCL_HOSTID", "mpx-rank-" + std::to_string(r)},
                                                              {"NCCL_SOCKET_IFNAME", "lo"},
                                                              {"NCCL_NET", "Socket"},
                                                              {"NCCL_IB_DISABLE", "1"},
                                                              {"NCCL_P2P_DISABLE", "1"},
                                                              {"NCCL_SHM_DISABLE", "1"},
                                                              {"NCCL_NVLS_ENABLE", "0"},
                                                              {"NCCL_MNNVL_ENABLE", "0"},
                                                              {"NCCL_MAX_CTAS", "2"},
                                                              {"NCCL_PROTO", "Simple"}};
    for (std::size_t other = 0; other < pipes.size(); ++other) {
      settings.emplace_back("MPX_TEST_FROM" + std::to_string(other), std::to_string(pipes[other][0]));
      settings.emplace_back("MPX_TEST_TO" + std::to_string(other), std::to_string(pipes[other][1]));
    }
    pid_t const child = fork();
    if (child == 0) {
      for (auto const& [variable, value] : settings) setenv(variable.c_str(), value.c_str(), 1);
      execl("/proc/self/exe", "test_gpu", name.c_str(), static_cast<char*>(nullptr));
      _exit(127);
    }
    children.push_back(child);
  }
  bool all = true;
  for (auto const child : children) {
    int status = -1;
    all = child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0 && all;
  }
  for (auto const& ends : pipes) close(ends[0]), close(ends[1]);
  return all;
}

template <class T>
void collectives_leave_the_bits_of_the_host(rank_process const& me) {
  mpx::on_cuda::machine m;
  auto const ranks = static_cast<std::size_t>(me.count), number = static_cast<std::size_t>(me.number);
  auto g = me.group(0, 60000ms, ranks), several = me.group(1, 60000ms, laws::some_bringers(ranks).size());
  for (auto const& slices : laws::slice_tables(ranks)) {
    auto const after = laws::after_collectives<T>(g, several, me.number, slices,
                                                  [&](std::vector<T> const& numbers) { return gpu_numbers<T>(m, numbers); });
    CAPTURE(me.number, slices);
    CHECK(laws::first_other(after, laws::after_collectives_of_the_host<T>(slices)[number]) == -1);
  }
}

}  // namespace

TEST_CASE("a group of NCCL says in one sentence that there is no GPU", "[gpu][nccl]") {
  if (mpx::on_cuda::device_count() > 0) return;
  nccl_group g("data ranks", 2, 2000ms);
  std::vector<std::string> said(2);
  std::vector<std::thread> threads;
  for (int r = 0; r < 2; ++r)
    threads.emplace_back([&, r] {
      float data[2] = {};
      said[static_cast<std::size_t>(r)] = test::said([&] { g.all_reduce(r, data, 2); });
    });
  for (auto& t : threads) t.join();
  for (int r = 0; r < 2; ++r)
    CHECK(said[static_cast<std::size_t>(r)] ==
          "connect: rank " + std::to_string(r) +
              " cannot reach the others (data ranks): got NCCL without a GPU (nccl): expected one "
              "for each rank, got a machine without");
  CHECK(test::said([] { nccl_address::make(); }) ==
        "NCCL without a GPU (nccl): expected one for each rank, got a machine without");
}

TEST_CASE("ranks of one process meet in its memory before NCCL is asked", "[gpu][nccl]") {
  nccl_group g("data ranks", 2, 20ms);
  float data[2] = {};
  CHECK(test::said([&] { g.all_reduce(0, data, 2); }) ==
        "all_reduce: rank 0 waits past the deadline (data ranks): expected all ranks within 20 ms, got 1 of 2, without rank 1");
}

// Each of these begins again in a process for each rank, where it is that rank.
TEMPLATE_TEST_CASE("every collective of NCCL ranks leaves the bits of the host's", "[gpu][nccl]", float, double, mpx::bf16,
                   mpx::f16) {
  if (test::no_gpu()) return;
  if (rank_process::is_one()) return collectives_leave_the_bits_of_the_host<TestType>(rank_process());
  std::string const type = std::is_same_v<TestType, float>       ? "float"
                           : std::is_same_v<TestType, double>    ? "double"
                           : std::is_same_v<TestType, mpx::bf16> ? "mpx::bf16"
                                                                 : "mpx::f16";
  for (int const ranks : {2, 3})
    CHECK(passes_on_ranks(ranks, "every collective of NCCL ranks leaves the bits of the host's - " + type));
}

TEST_CASE("an NCCL rank that never comes is named at the deadline", "[gpu][nccl]") {
  if (test::no_gpu()) return;
  if (!rank_process::is_one()) {
    CHECK(passes_on_ranks(2, "an NCCL rank that never comes is named at the deadline"));
    return;
  }
  rank_process const me;
  mpx::on_cuda::machine m;
  auto g = me.group(0, 5000ms, 2);
  gpu_numbers<float> data(m, {1, 2});
  g.all_reduce(me.number, data.data(), 2);
  CHECK(data.read() == std::vector<float>{2, 4});
  if (me.number == 1) {
    std::this_thread::sleep_for(8s);  // there, and not coming
    return;
  }
  auto const began = std::chrono::steady_clock::now();
  CHECK(test::said([&] { g.all_reduce(me.number, data.data(), 2); }) ==
        "all_reduce: rank 0 waits past the deadline (ranks): expected all ranks within 5000 ms, got 1 of 2, without rank 1");
  CHECK(std::chrono::steady_clock::now() - began < 20s);
  CHECK_THROWS_AS(g.barrier(me.number), mpx::aborted);
}
