/// @file
/// Memory of a host device: one allocation, made once.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include <mpx/core/error.hpp>
#include <mpx/core/units.hpp>

namespace mpx::on_host {

/// One zeroed, aligned block of bytes. Moves, never copies.
/// Units   bytes, rounded up to a cache line
/// Errors  throws mpx::error when the machine has no such block left
class memory {
 public:
  memory() = default;
  explicit memory(std::size_t count) : size_(aligned(count)) {
    if (count == 0) return;
    if (size_ >= count) block_.reset(static_cast<std::byte*>(std::aligned_alloc(alignment, size_)));
    if (!block_) {
      throw error({.what = "out of memory",
                   .where = "host device",
                   .expected = std::to_string(count) + " bytes in one block",
                   .got = "none of that size"});
    }
    std::memset(block_.get(), 0, size_);
  }

  memory(memory&& other) noexcept : block_(std::move(other.block_)), size_(std::exchange(other.size_, 0)) {}
  memory& operator=(memory&& other) noexcept {
    block_ = std::move(other.block_);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }

  [[nodiscard]] std::byte* data() const noexcept { return block_.get(); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  struct release {
    void operator()(std::byte* block) const noexcept { std::free(block); }
  };
  std::unique_ptr<std::byte, release> block_;
  std::size_t size_ = 0;
};

}  // namespace mpx::on_host
