// Runs a body as the GPU would: each thread of a block is a thread of the processor, which meets the others at barriers.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <limits>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include <pthread.h>
#include <semaphore.h>

#include <mpx/core/dtype.hpp>
#include <mpx/cuda/block.hpp>
#include <mpx/cuda/fragment.hpp>

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
  using words = std::array<std::uint32_t, 6>;

  explicit block_state(mpx::on_cuda::launch_size const& size)
      : shared((size.shared + 15) / 16 * 16),
        given{std::vector<words>(size.threads), std::vector<words>(size.threads)},
        all(size.threads) {
    for (unsigned w = 0; w < size.threads / mpx::on_cuda::warp_width; ++w)
      warps.push_back(std::make_unique<meeting_point>(mpx::on_cuda::warp_width));
  }
  std::vector<std::byte> shared;
  std::array<std::vector<words>, 2> given;  ///< by each thread to the others of its warp
  meeting_point all;
  std::vector<std::unique_ptr<meeting_point>> warps;
};

/// When copies that are begun ahead arrive: not before they are waited for, so that who reads too early reads what was there;
/// or at once, so that who asks for them too early writes over what others still read.
inline bool copies_at_once = false;

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
    auto const* const of_warp = given({std::bit_cast<std::uint32_t>(value)});
    return std::bit_cast<float>(of_warp[(thread_ ^ distance) % mpx::on_cuda::warp_width][0]);
  }
  template <unsigned Bytes>
  void read(void* to, void const* from) const {
    if (reinterpret_cast<std::uintptr_t>(from) % Bytes != 0) std::abort();
    std::memcpy(to, from, Bytes);
  }
  template <unsigned Bytes>
  void write(void* to, void const* from) const {
    if (reinterpret_cast<std::uintptr_t>(to) % Bytes != 0) std::abort();
    std::memcpy(to, from, Bytes);
  }

  // --- the matrix units ----------------------------------------------------------------------------------------------
  [[nodiscard]] mpx::on_cuda::fragment rows(std::uint16_t const* at, unsigned stride) const {
    return loaded([=](unsigned r, unsigned c) { return at[r * stride + c]; }, false);
  }
  [[nodiscard]] mpx::on_cuda::fragment columns(std::uint16_t const* at, unsigned stride) const {
    return loaded([=](unsigned r, unsigned c) { return at[r * stride + c]; }, true);
  }
  template <class T>
  void multiply(mpx::on_cuda::partial_sums& sums, mpx::on_cuda::fragment const& a, std::uint32_t b0, std::uint32_t b1) const {
    auto const* const of_warp = given({a.pair[0], a.pair[1], a.pair[2], a.pair[3], b0, b1});
    for (unsigned i = 0; i < 4; ++i) {
      unsigned const r = mpx::on_cuda::row_of_sum(thread_, i), c = mpx::on_cuda::column_of_sum(thread_, i);
      for (unsigned k = 0; k < 16; ++k) {
        unsigned const holder = k / 2 % 4, half = k % 2;  // of the element k of a row or column
        float const left = number<T>(of_warp[r % 8 * 4 + holder][r / 8 + k / 8 * 2], half);
        float const right = number<T>(of_warp[c * 4 + holder][4 + k / 8], half);
        sums.at[i] += left * right;
      }
    }
  }
  [[nodiscard]] float exp2(float x) const {
    float const power = std::exp2(x);
    return power < std::numeric_limits<float>::min() ? 0.0f : power;
  }
  template <class T>
  [[nodiscard]] std::uint32_t pack(float low, float high) const {
    return T(low).bits | static_cast<std::uint32_t>(T(high).bits) << 16;
  }
  template <unsigned Bytes>
  void copy_ahead(void* to, void const* from, bool there) const {
    if (reinterpret_cast<std::uintptr_t>(to) % Bytes != 0 || reinterpret_cast<std::uintptr_t>(from) % Bytes != 0) std::abort();
    copy const one{to, there ? from : nullptr, Bytes};
    if (copies_at_once) one.arrive();
    else copies_.back().push_back(one);
  }
  void end_copies() const { copies_.emplace_back(); }
  template <int N>
  void wait_for_copies() const {
    while (copies_.size() > N + 1) {
      for (auto const& one : copies_.front()) one.arrive();
      copies_.pop_front();
    }
  }

 private:
  /// What every thread of the warp has given, when all have. It stands in one of two places in turn: who goes on to the next
  /// exchange writes nothing that another still reads.
  [[nodiscard]] block_state::words const* given(block_state::words const& mine) const {
    auto& place = state_.given[exchanges_++ % 2];
    place[thread_] = mine;
    state_.warps[thread_ / mpx::on_cuda::warp_width]->wait();
    return &place[thread_ / mpx::on_cuda::warp_width * mpx::on_cuda::warp_width];
  }
  template <class T>
  static float number(std::uint32_t pair, unsigned half) {
    T one;
    one.bits = static_cast<std::uint16_t>(pair >> (16 * half));
    return static_cast<float>(one);
  }
  /// Four 8 x 8 matrices of a 16 x 16, each as it is, or turned.
  template <class At>
  mpx::on_cuda::fragment loaded(At at, bool turned) const {
    unsigned const g = thread_ / 4 % 8, t = thread_ % 4 * 2;
    mpx::on_cuda::fragment f;
    for (unsigned i = 0; i < 4; ++i) {
      unsigned const r = i % 2 * 8, c = i / 2 * 8;
      std::uint32_t const low = turned ? at(r + t, c + g) : at(r + g, c + t);
      std::uint32_t const high = turned ? at(r + t + 1, c + g) : at(r + g, c + t + 1);
      f.pair[i] = low | high << 16;
    }
    return f;
  }

  block_state& state_;
  mutable unsigned exchanges_ = 0;
  struct copy {
    void* to;
    void const* from;  ///< null for zeros
    std::size_t bytes;
    void arrive() const {
      if (from != nullptr) std::memcpy(to, from, bytes);
      else std::memset(to, 0, bytes);
    }
  };
  using copies = std::vector<copy>;
  mutable std::deque<copies> copies_ = std::deque<copies>(1);  ///< sets of them, the last one still open
  std::size_t index_, count_;
  unsigned thread_, threads_;
};

/// Threads that sleep between bodies: to start them anew for each takes longer than most bodies. A thread that emulates has its
/// own.
class block_threads {
 public:
  block_threads() = default;
  block_threads(block_threads const&) = delete;
  ~block_threads() {
    work_ = nullptr;
    for (auto& one : threads_) {
      sem_post(&one.begin);
      one.thread.join();
      sem_destroy(&one.begin);
    }
  }

  /// work(0) to work(count - 1), each in a thread; returns when all have returned.
  void run(unsigned count, std::function<void(unsigned)> const& work) {
    while (threads_.size() < count) {
      auto& one = threads_.emplace_back();
      sem_init(&one.begin, 0, 0);
      one.thread = std::thread([this, &one, t = static_cast<unsigned>(threads_.size() - 1)] {
        for (;;) {
          sem_wait(&one.begin);
          if (work_ == nullptr) return;
          (*work_)(t);
          if (--running_ == 0) sem_post(&end_.all);
        }
      });
    }
    work_ = &work;
    running_ = count;
    for (unsigned t = 0; t < count; ++t) sem_post(&threads_[t].begin);
    sem_wait(&end_.all);
  }
  static block_threads& of_this_thread() {
    thread_local block_threads own;
    return own;
  }

 private:
  struct sleeper {
    sem_t begin;
    std::thread thread;
  };
  struct end {
    end() { sem_init(&all, 0, 0); }
    ~end() { sem_destroy(&all); }
    sem_t all;
  };
  end end_;
  std::deque<sleeper> threads_;
  std::function<void(unsigned)> const* work_ = nullptr;
  std::atomic<unsigned> running_ = 0;
};

/// Runs all blocks, one after the other. Shared memory begins as NaN: what a body reads before it has written shows.
/// `most_threads`: of a block, whole warps. A body shares its work out over the threads that there are, or says how many it
/// needs at least.
template <class Body>
void emulate(Body const& body, unsigned most_threads = ~0u) {
  if constexpr (requires { Body::least_threads; }) most_threads = std::max(most_threads, Body::least_threads);
  auto size = body.size();
  if (size.blocks == 0) return;
  size.threads = std::min<unsigned>(size.threads, most_threads);
  block_state state(size);
  block_threads::of_this_thread().run(size.threads, [&](unsigned t) {
    for (std::size_t b = 0; b < size.blocks; ++b) {
      if (t == 0) std::fill(state.shared.begin(), state.shared.end(), std::byte{0xff});
      state.all.wait();
      body(emulated_block(state, b, size.blocks, t, size.threads));
      state.all.wait();
    }
  });
}

}  // namespace test
