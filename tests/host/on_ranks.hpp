// The ranks of a group, each on a thread of its own.
#pragma once

#include <thread>
#include <vector>

namespace test {

/// Runs f(rank) on its own thread for each rank.
template <class F>
void on_ranks(int ranks, F f) {
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) threads.emplace_back([=] { f(rank); });
  for (auto& t : threads) t.join();
}

}  // namespace test
