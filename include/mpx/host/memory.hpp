/// @file
/// Memory of a host device: one allocation, made once.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <mpx/core/error.hpp>
#include <mpx/core/units.hpp>

namespace mpx::on_host {

namespace detail {

inline constexpr std::size_t huge_page = std::size_t{2} << 20;

/// Asks the system to back a block with pages of 2 MiB: a step walks through all of its memory, and small pages cost it
/// a miss in the translation cache every few lines. A system that has none to give changes nothing.
inline void ask_for_huge_pages([[maybe_unused]] void* block, [[maybe_unused]] std::size_t size) {
#if defined(__linux__)
  madvise(block, size, MADV_HUGEPAGE);
#endif
}

}  // namespace detail

/// One zeroed, aligned block of bytes; large ones lie on huge pages. Moves, never copies.
/// Units   bytes, rounded up to a cache line
/// Errors  throws mpx::error when the machine has no such block left
class memory {
 public:
  memory() = default;
  explicit memory(std::size_t count) : size_(aligned(count)) {
    if (count == 0) return;
    bool const large = size_ >= 2 * detail::huge_page;
    std::size_t const page = large ? detail::huge_page : alignment, whole = aligned(size_, page);
    if (size_ >= count && whole >= size_) block_.reset(static_cast<std::byte*>(std::aligned_alloc(page, whole)));
    if (!block_) {
      throw error({.what = "out of memory",
                   .where = "host device",
                   .expected = std::to_string(count) + " bytes in one block",
                   .got = "none of that size"});
    }
    if (large) detail::ask_for_huge_pages(block_.get(), whole);
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
