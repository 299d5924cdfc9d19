/// @file
/// GPUs that reach each other through NCCL: it carries the bytes, sums stay mpx's own. Link mpx::nccl; nothing else includes
/// this file.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <mpx/backend/exchange_group.hpp>
#include <mpx/core/device.hpp>
#include <mpx/core/error.hpp>
#include <mpx/cuda/channel.hpp>
#include <mpx/cuda/check.hpp>
#include <mpx/cuda/launch.hpp>
#include <mpx/cuda/machine.hpp>
#include <mpx/cuda/memory.hpp>
#include <mpx/cuda/reduce.hpp>

namespace mpx::on_cuda {

/// By what the ranks of a group find each other: plain bytes, which a program hands from one process to all.
/// Errors  make() throws mpx::error when there is no GPU, or NCCL finds no network
struct nccl_address {
  std::array<char, NCCL_UNIQUE_ID_BYTES> bytes;

  static nccl_address make();
};

/// A rank's end of NCCL's network, on the GPU that its thread works on when it is made. Exchanges stand in a queue of their
/// own, so that the thread's work goes on beside them. See exchange_group.
/// Errors  throws mpx::error when NCCL or CUDA fails, also for what another rank has done
class nccl_line {
 public:
  using address = nccl_address;
  static constexpr std::size_t most_parts = combine_parts<float>::most_parts;

  nccl_line(address const& where, int rank, int ranks) {
    need_gpu();
    try {
      on_cuda::check(cudaStreamCreateWithFlags(&exchanges_, cudaStreamNonBlocking), "make a queue for exchanges");
      on_cuda::check(cudaEventCreateWithFlags(&asked_, cudaEventDisableTiming), "make an event");
      if (ranks == 1) return;  // nobody to reach
      ncclUniqueId id;
      static_assert(sizeof id == sizeof where.bytes);
      std::memcpy(&id, where.bytes.data(), sizeof id);
      ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
      config.blocking = 0;  // who waits has a deadline
      check(ncclCommInitRankConfig(&ranks_, ranks, id, rank, &config), "connect");
    } catch (...) {
      release();
      throw;
    }
  }
  nccl_line(nccl_line const&) = delete;
  nccl_line& operator=(nccl_line const&) = delete;
  ~nccl_line() { release(); }

  bool connected() { return accepted(); }

  void begin() {
    on_cuda::check(cudaEventRecord(asked_, queue()), "mark what an exchange waits for");
    on_cuda::check(cudaStreamWaitEvent(exchanges_, asked_, 0), "let an exchange wait");
    first_failure_ = ncclSuccess;
    if (ranks_ != nullptr) check(ncclGroupStart(), "begin an exchange");
  }
  void send(int to, void const* from, std::size_t bytes) { keep(ncclSend(from, bytes, ncclInt8, to, ranks_, exchanges_)); }
  void receive(int from, void* to, std::size_t bytes) { keep(ncclRecv(to, bytes, ncclInt8, from, ranks_, exchanges_)); }
  void broadcast(int root, void* data, std::size_t bytes) {
    keep(ncclBroadcast(data, data, bytes, ncclInt8, root, ranks_, exchanges_));
  }
  void end() {
    if (ranks_ == nullptr) return;
    keep(ncclGroupEnd());  // whatever has failed between: a group that is open would swallow the next one
    check(first_failure_, "exchange");
  }
  /// Whether NCCL has put into its queue what was asked of it; it works at that on a thread of its own.
  bool accepted() {
    if (ranks_ == nullptr) return true;
    ncclResult_t state = ncclSuccess;
    check(ncclCommGetAsyncError(ranks_, &state), "say how it is");
    check(state, "reach the other ranks");
    return state == ncclSuccess;
  }

  std::uint64_t mark() {
    cudaEvent_t event = nullptr;
    if (spare_.empty()) {
      on_cuda::check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "make an event");
    } else {
      event = spare_.back();
      spare_.pop_back();
    }
    marks_.push_back({++last_mark_, event});
    on_cuda::check(cudaEventRecord(event, exchanges_), "mark an exchange");
    return last_mark_;
  }
  bool done(std::uint64_t mark) {
    accepted();  // a network that has failed is found here
    while (!marks_.empty()) {
      cudaError_t const state = cudaEventQuery(marks_.front().event);
      if (state == cudaErrorNotReady) {
        cudaGetLastError();  // no failure: the next kernel is not told of it
        break;
      }
      on_cuda::check(state, "finish an exchange");
      passed_ = marks_.front().number;
      spare_.push_back(marks_.front().event);
      marks_.pop_front();
    }
    return passed_ >= mark;
  }

  template <class T>
  void combine(combining how, void* const* parts, std::size_t count, std::size_t n, T* slice) {
    combine_parts<T> body{{}, slice, count, 0, n, how};
    for (std::size_t p = 0; p < count; ++p) body.parts[p] = static_cast<T*>(parts[p]);
    launch(body);
  }
  void copy(void* to, void const* from, std::size_t bytes) {
    on_cuda::check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, queue()), "copy what has arrived");
  }

  /// A block that is too small is kept until the end: to give it back, CUDA would wait for all exchanges, without a deadline.
  std::byte* scratch(std::size_t number, std::size_t bytes) {
    while (scratch_.size() <= number) scratch_.emplace_back();
    block& one = scratch_[number];
    if (one.size < bytes) {
      // Not of a pool: NCCL lets GPUs of one process write into each other's memory.
      void* data = nullptr;
      on_cuda::check(cudaMalloc(&data, bytes), "find memory for what the other ranks send");
      on_device_.push_back(data);
      one = {static_cast<std::byte*>(data), bytes};
    }
    return one.data;
  }
  std::uint64_t* words(std::size_t count) {
    void* data = nullptr;
    on_cuda::check(cudaHostAlloc(&data, count * sizeof(std::uint64_t), cudaHostAllocPortable),
                   "find memory that the host shares");
    on_host_.push_back(data);
    return static_cast<std::uint64_t*>(data);
  }

  /// What this rank has sent may still be on its way out when its own exchanges have ended. NCCL is told to end that, and the
  /// destructor waits for it; but not where something is under way, or has failed.
  void leave() noexcept {
    ncclResult_t state = ncclSuccess;
    if (ranks_ == nullptr || left_ || cudaStreamQuery(exchanges_) != cudaSuccess) return;
    if (ncclCommGetAsyncError(ranks_, &state) != ncclSuccess || state != ncclSuccess) return;
    state = ncclCommFinalize(ranks_);
    left_ = state == ncclSuccess || state == ncclInProgress;
  }
  void abort() noexcept {
    if (ranks_ == nullptr) return;
    ncclCommAbort(std::exchange(ranks_, nullptr));  // its kernels end, whatever they wait for
    cudaStreamSynchronize(exchanges_);
  }

  /// Errors  throws mpx::error unless all went well, or goes on
  static void check(ncclResult_t status, char const* what) {
    if (status == ncclSuccess || status == ncclInProgress) return;
    std::string got = ncclGetErrorString(status);
    if (char const* const more = ncclGetLastError(nullptr); more != nullptr && *more != '\0') got += std::string(", ") + more;
    throw error({.what = std::string("NCCL could not ") + what, .where = "nccl", .expected = {}, .got = got});
  }
  static void need_gpu() {
    if (device_count() == 0)
      throw error({.what = "NCCL without a GPU", .where = "nccl", .expected = "one for each rank", .got = "a machine without"});
  }

 private:
  struct marked {
    std::uint64_t number;
    cudaEvent_t event;
  };
  struct block {
    std::byte* data = nullptr;
    std::size_t size = 0;
  };

  void keep(ncclResult_t status) {
    if (first_failure_ == ncclSuccess && status != ncclInProgress) first_failure_ = status;
  }
  void release() noexcept {
    if (ranks_ != nullptr && left_) {
      ncclResult_t state = ncclInProgress;
      auto const last = std::chrono::steady_clock::now() + std::chrono::seconds(10);
      while (ncclCommGetAsyncError(ranks_, &state) == ncclSuccess && state == ncclInProgress &&
             std::chrono::steady_clock::now() < last)
        std::this_thread::sleep_for(std::chrono::microseconds(100));
      if (state == ncclSuccess) ncclCommDestroy(std::exchange(ranks_, nullptr));
    }
    abort();
    for (auto const& m : marks_) spare_.push_back(m.event);
    for (auto const event : spare_) cudaEventDestroy(event);
    if (asked_ != nullptr) cudaEventDestroy(asked_);
    if (exchanges_ != nullptr) cudaStreamDestroy(exchanges_);
    for (void* const data : on_device_) cudaFree(data);
    for (void* const data : on_host_) cudaFreeHost(data);
  }

  ncclComm_t ranks_ = nullptr;  ///< none where there is one rank, and behind abort()
  cudaStream_t exchanges_ = nullptr;
  cudaEvent_t asked_ = nullptr;
  ncclResult_t first_failure_ = ncclSuccess;  ///< of the exchange that is being asked for
  bool left_ = false;
  std::deque<marked> marks_;
  std::vector<cudaEvent_t> spare_;
  std::uint64_t last_mark_ = 0, passed_ = 0;
  std::deque<block> scratch_;
  std::vector<void*> on_device_, on_host_;
};

inline nccl_address nccl_address::make() {
  nccl_line::need_gpu();
  ncclUniqueId id;
  nccl_line::check(ncclGetUniqueId(&id), "make an address");
  nccl_address made{};
  std::memcpy(made.bytes.data(), &id, sizeof id);
  return made;
}

/// Ranks with a GPU each, threads of one process or processes; see exchange_group. Two ranks of one process need two GPUs.
class nccl_group : public exchange_group<nccl_line> {
 public:
  using exchange_group::exchange_group;
};

/// As `backend`, but ranks meet through NCCL, which wants a GPU for each: a placement names those of data and tensor rank 0,
/// and the others' follow. Stages of a pipeline still reach each other by CUDA's copies.
struct nccl_backend {
  using machine = on_cuda::machine;
  using memory = on_cuda::memory;
  using channel = on_cuda::channel;
  using group = nccl_group;
  static constexpr device_kind kind = device_kind::cuda;
  static constexpr bool ranks_have_own_devices = true;
};

}  // namespace mpx::on_cuda
