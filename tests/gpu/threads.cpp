// Channels and groups between threads that share a GPU.
#include "gpu.hpp"
#include "laws/machine.hpp"

#include <chrono>
#include <thread>

using mpx::on_cuda::backend;
using namespace std::chrono_literals;

TEST_CASE("messages between GPU threads arrive in order, more of them than there are slots", "[gpu][channel]") {
  if (test::no_gpu()) return;
  mpx::on_cuda::memory storage(2 * 4096);
  mpx::on_cuda::channel channel("test", {storage.data(), storage.size()}, 2, 5000ms);
  std::vector<std::vector<float>> got;
  std::thread receiver([&] {
    mpx::on_cuda::machine m;
    mpx::on_cuda::memory to(4096);
    for (int i = 0; i < 20; ++i) {
      channel.receive(to.data(), 1000 * sizeof(float));
      got.emplace_back(1000);
      m.download(got.back().data(), to.data(), 1000 * sizeof(float));
    }
  });
  mpx::on_cuda::machine m;
  laws::twin<backend, float> from(m, std::vector<float>(1000, 1.0f));
  for (int i = 0; i < 20; ++i) {
    channel.send(from.in(), 1000 * sizeof(float));  // waits for the scaling before it
    m.scale(from.data(), from.in(), 2.0f, 1000);
  }
  receiver.join();
  float value = 1.0f;
  for (auto const& message : got) {
    CHECK(message == std::vector<float>(1000, value));
    value *= 2;
  }
  CHECK(channel.messages() == 20);
  CHECK(channel.bytes_sent() == 20 * 4000);
  CHECK(test::said([&] { channel.send(from.in(), 5000); }).find("message larger than a slot") != std::string::npos);
}

TEST_CASE("a GPU thread does not wait for ever, and stops when another one fails", "[gpu][channel]") {
  if (test::no_gpu()) return;
  mpx::on_cuda::memory storage(256);
  mpx::on_cuda::channel channel("test", {storage.data(), storage.size()}, 2, 20ms);
  CHECK(test::said([&] { channel.receive(storage.data(), 16); }).find("past the deadline") != std::string::npos);
  channel.abort();
  CHECK_THROWS_AS(channel.send(storage.data(), 16), mpx::aborted);
  channel.open();
  channel.send(storage.data(), 16);
  CHECK(test::said([&] { channel.receive(storage.data(), 32); }).find("message of another size") != std::string::npos);
  mpx::on_cuda::group group("test", 2, 20ms);
  CHECK(test::said([&] { group.barrier(0); }).find("without rank 1") != std::string::npos);
}

namespace {

template <class T>
void group_adds_in_order(int ranks, std::size_t n) {
  mpx::on_cuda::group group("test", ranks, 5000ms);
  using A = mpx::accumulator_t<T>;
  std::vector<std::vector<T>> parts, sums(static_cast<std::size_t>(ranks)), pairs = sums, most = sums;
  for (int r = 0; r < ranks; ++r) parts.push_back(laws::numbers<T>(n, static_cast<std::uint32_t>(r + 1)));
  std::vector<std::thread> threads;
  for (int r = 0; r < ranks; ++r)
    threads.emplace_back([&, r] {
      mpx::on_cuda::machine m;
      auto const rank = static_cast<std::size_t>(r);
      laws::twin<backend, T> sum(m, parts[rank]), pair(m, parts[rank]), largest(m, parts[rank]);
      m.add(sum.data(), sum.in(), n);  // the others wait for it
      group.all_reduce(r, sum.data(), n);
      group.all_reduce_in_pairs(r, pair.data(), n);
      group.all_reduce_max(r, largest.data(), n);
      sums[rank] = sum.read();
      pairs[rank] = pair.read();
      most[rank] = largest.read();
    });
  for (auto& t : threads) t.join();
  std::vector<T> sum(n), largest(n), pair(n);
  for (std::size_t i = 0; i < n; ++i) {
    A whole = A(T(2 * A(parts[0][i]))), high = A(parts[0][i]);
    for (std::size_t r = 1; r < parts.size(); ++r) {
      whole += A(T(2 * A(parts[r][i])));
      high = std::max(high, A(parts[r][i]));
    }
    sum[i] = T(whole);
    largest[i] = T(high);
    if (ranks == 3) pair[i] = T((A(parts[0][i]) + A(parts[1][i])) + A(parts[2][i]));
    if (ranks == 4) pair[i] = T((A(parts[0][i]) + A(parts[1][i])) + (A(parts[2][i]) + A(parts[3][i])));
  }
  for (std::size_t r = 0; r < parts.size(); ++r) {
    CHECK(laws::same_bits(sums[r], sum));
    CHECK(laws::same_bits(pairs[r], pair));
    CHECK(laws::same_bits(most[r], largest));
  }
}

}  // namespace

TEMPLATE_TEST_CASE("a group of GPU threads adds in the order of its ranks", "[gpu][group]", float, mpx::bf16, mpx::f16) {
  if (test::no_gpu()) return;
  for (std::size_t const n : {1, 63, 2049, 10'000}) {
    group_adds_in_order<TestType>(3, n);
    group_adds_in_order<TestType>(4, n);
  }
}

namespace {

/// Slices of unequal sizes, with an empty one: scattered, gathered, broadcast and summed in three parts, against all_reduce.
template <class T>
void group_divides_what_it_adds(std::size_t n) {
  constexpr int ranks = 3;
  mpx::on_cuda::group group("test", ranks, 5000ms);
  std::vector<std::size_t> const slices{0, n / 3, n / 3, n};
  std::vector<std::vector<T>> sums(ranks), gathered(ranks), begun(ranks), whole(ranks), sent(ranks);
  std::vector<std::thread> threads;
  for (int r = 0; r < ranks; ++r)
    threads.emplace_back([&, r] {
      mpx::on_cuda::machine m;
      auto const rank = static_cast<std::size_t>(r);
      auto const mine = laws::numbers<T>(n, static_cast<std::uint32_t>(r + 1));
      laws::twin<backend, T> sum(m, mine), scattered(m, mine), sliced(m, mine), complete(m, mine), data(m, mine);
      group.all_reduce(r, sum.data(), n);
      group.reduce_scatter(r, scattered.data(), scattered.data() + slices[rank], slices);
      group.all_gather(r, scattered.data() + slices[rank], scattered.data(), slices);
      group.begin_sum(r, 0, sliced.data(), n, slices, mpx::sum_order::one_by_one);
      group.begin_sum(r, 1, complete.data(), n, {}, mpx::sum_order::one_by_one);
      group.take_sum<T>(r, 0);
      group.take_sum<T>(r, 1);
      group.end_sum(r, 0);
      group.end_sum(r, 1);
      group.all_gather(r, sliced.data() + slices[rank], sliced.data(), slices);
      group.broadcast(r, 1, data.data(), n);
      sums[rank] = sum.read();
      gathered[rank] = scattered.read();
      begun[rank] = sliced.read();
      whole[rank] = complete.read();
      sent[rank] = data.read();
    });
  for (auto& t : threads) t.join();
  for (std::size_t r = 0; r < ranks; ++r) {
    CHECK(laws::same_bits(gathered[r], sums[0]));
    CHECK(laws::same_bits(begun[r], sums[0]));
    CHECK(laws::same_bits(whole[r], sums[0]));
    CHECK(laws::same_bits(sent[r], laws::numbers<T>(n, 2)));
  }
}

}  // namespace

TEMPLATE_TEST_CASE("a group of GPU threads scatters, gathers and broadcasts", "[gpu][group]", float, mpx::bf16, mpx::f16) {
  if (test::no_gpu()) return;
  for (std::size_t const n : {3, 64, 2049, 10'000}) group_divides_what_it_adds<TestType>(n);
}
