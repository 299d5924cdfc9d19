// Runs a body as the GPU would: each thread of a block is a thread of the processor, which meets the others at barriers.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include <pthread.h>

#include <mpx/cuda/block.hpp>

namespace test {

class meeting_point {
 public:
  explicit meeting_point(unsigned threads) { pthread_barrier_init(&barrier_, nullptr, threads); }
  meeting_point(meeting_point const&) = delete;
  ~meeting_point() { pthread_barrier_destroy(&barrier_); }
  void wait() { pthread_barrier_wait(&barrier_); }

 private:
  pthread_barrier_t barrier_;
};

/// What the threads of a block share.
struct block_state {
  explicit block_state(mpx::on_cuda::launch_size const& size)
      : shared((size.shared + 15) / 16 * 16), exchanged(size.threads), all(size.threads) {
    for (unsigned w = 0; w < size.threads / mpx::on_cuda::warp_width; ++w)
      warps.push_back(std::make_unique<meeting_point>(mpx::on_cuda::warp_width));
  }
  std::vector<std::byte> shared;
  std::vector<float> exchanged;
  meeting_point all;
  std::vector<std::unique_ptr<meeting_point>> warps;
};

class emulated_block {
 public:
  emulated_block(block_state& state, std::size_t index, std::size_t count, unsigned thread, unsigned threads)
      : state_(state), index_(index), count_(count), thread_(thread), threads_(threads) {}

  [[nodiscard]] std::size_t index() const { return index_; }
  [[nodiscard]] std::size_t count() const { return count_; }
  [[nodiscard]] unsigned thread() const { return thread_; }
  [[nodiscard]] unsigned threads() const { return threads_; }
  [[nodiscard]] std::byte* shared() const { return state_.shared.data(); }
  void wait() const { state_.all.wait(); }
  [[nodiscard]] float exchange(float value, unsigned distance) const {
    auto& warp = *state_.warps[thread_ / mpx::on_cuda::warp_width];
    state_.exchanged[thread_] = value;
    warp.wait();
    float const other = state_.exchanged[thread_ ^ distance];
    warp.wait();
    return other;
  }

 private:
  block_state& state_;
  std::size_t index_, count_;
  unsigned thread_, threads_;
};

/// Runs all blocks, one after the other. Shared memory begins as NaN: what a body reads before it has written shows.
template <class Body>
void emulate(Body const& body) {
  auto const size = body.size();
  if (size.blocks == 0) return;
  block_state state(size);
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < size.threads; ++t)
    threads.emplace_back([&, t] {
      for (std::size_t b = 0; b < size.blocks; ++b) {
        if (t == 0) std::memset(state.shared.data(), 0xff, state.shared.size());
        state.all.wait();
        body(emulated_block(state, b, size.blocks, t, size.threads));
        state.all.wait();
      }
    });
  for (auto& one : threads) one.join();
}

}  // namespace test
