/// @file
/// Memory of a CUDA device: one allocation, made once.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

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
    check(cudaMemset(block_, 0, size_), "clear its memory");
    check(cudaDeviceSynchronize(), "clear its memory");
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

}  // namespace mpx::on_cuda
