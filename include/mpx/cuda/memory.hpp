/// @file
/// Memory of a CUDA device: one allocation, made once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <mpx/core/error.hpp>
#include <mpx/core/units.hpp>
#include <mpx/cuda/check.hpp>

namespace mpx::on_cuda {

/// One zeroed block of bytes on a GPU. Moves, never copies.
/// Units   bytes, rounded up to a cache line
/// Errors  throws mpx::error when there is no such GPU, or it has no such block left
class memory {
 public:
  memory() = default;
  explicit memory(std::size_t count, int ordinal = 0) : size_(aligned(count)) {
    if (count == 0) return;
    use_device(ordinal);
    void* block = nullptr;
    if (size_ < count || cudaMalloc(&block, size_) != cudaSuccess) {
      cudaGetLastError();  // it is told here, and not again by the next kernel
      throw error({.what = "out of memory", .where = "cuda<" + std::to_string(ordinal) + ">",
                   .expected = std::to_string(count) + " bytes in one block", .got = "none of that size"});
    }
    block_ = static_cast<std::byte*>(block);
    // In a queue of its own: this thread's may be recorded, and what other threads have on the GPU may wait for this one.
    cudaStream_t own = nullptr;
    check(cudaStreamCreateWithFlags(&own, cudaStreamNonBlocking), "make a queue");
    bool const cleared = cudaMemsetAsync(block_, 0, size_, own) == cudaSuccess && cudaStreamSynchronize(own) == cudaSuccess;
    cudaStreamDestroy(own);
    if (!cleared) check(cudaGetLastError(), "clear its memory");
  }
  memory(memory&& other) noexcept : block_(std::exchange(other.block_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  memory& operator=(memory&& other) noexcept {
    std::swap(block_, other.block_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~memory() {
    if (block_ != nullptr) cudaFree(block_);
  }

  [[nodiscard]] std::byte* data() const noexcept { return block_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  std::byte* block_ = nullptr;
  std::size_t size_ = 0;
};

/// Memory that grows, and loses what was in it. A block that is too small is kept until the end: to give it back, CUDA would
/// wait for all that the GPU is doing, messages from ranks that have failed among it, without a deadline. Each block is twice
/// as large as the one before, at least: all that are too small take no more than the last one.
/// Units   bytes
class growing_memory {
 public:
  /// At least so many bytes, until the next call.
  [[nodiscard]] std::byte* of(std::size_t bytes, int ordinal) {
    std::size_t const last = blocks_.empty() ? 0 : blocks_.back().size();
    if (blocks_.empty() || last < bytes) blocks_.emplace_back(std::max(bytes, 2 * last), ordinal);
    return blocks_.back().data();
  }
  [[nodiscard]] std::size_t size() const noexcept {
    std::size_t all = 0;
    for (auto const& one : blocks_) all += one.size();
    return all;
  }

 private:
  std::vector<memory> blocks_;
};

}  // namespace mpx::on_cuda
