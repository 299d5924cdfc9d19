/// @file
/// Bodies of one kind that are started together: one after the other, each of them may be shorter than its start.
#pragma once

#include <array>
#include <cstddef>

#include <mpx/config/config.hpp>
#include <mpx/cuda/block.hpp>

namespace mpx::on_cuda {

namespace detail {

/// A block that takes itself for one of fewer.
template <class Block>
struct block_of_part : Block {
  std::size_t first, blocks;

  [[nodiscard]] MPX_HOST_DEVICE MPX_INLINE std::size_t index() const { return Block::index() - first; }
  [[nodiscard]] MPX_HOST_DEVICE MPX_INLINE std::size_t count() const { return blocks; }
};

}  // namespace detail

/// The blocks of the first body, then those of the second, and so on. Each does what it would do if it were started alone.
/// Launch  bodies of equal threads and shared memory, at most `most` of them: what a kernel's operands have room for
template <class Body>
struct side_by_side {
  static constexpr std::size_t most_bytes = 4000;
  static constexpr std::size_t most = (most_bytes - sizeof(launch_size) - sizeof(std::size_t)) / (sizeof(Body) + sizeof(std::size_t));

  launch_size each{};
  std::size_t count = 0;
  std::array<std::size_t, most> end{};  ///< of each body's blocks
  std::array<Body, most> bodies{};

  /// False, and nothing changes, where it does not fit. One without blocks has nothing to do.
  [[nodiscard]] bool add(Body const& one) {
    launch_size const size = one.size();
    if (size.blocks == 0) return true;
    if (count >= most || (count > 0 && (size.threads != each.threads || size.shared != each.shared))) return false;
    each = size;
    end[count] = blocks() + size.blocks;
    bodies[count++] = one;
    return true;
  }
  [[nodiscard]] std::size_t blocks() const { return count == 0 ? 0 : end[count - 1]; }

  [[nodiscard]] launch_size size() const { return {blocks(), each.threads, each.shared}; }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    std::size_t low = 0, high = count - 1;  // the first body that ends behind this block
    while (low < high) {
      std::size_t const middle = (low + high) / 2;
      if (end[middle] > block.index()) high = middle;
      else low = middle + 1;
    }
    std::size_t const first = low == 0 ? 0 : end[low - 1];
    bodies[low](detail::block_of_part<Block>{block, first, end[low] - first});
  }
};

}  // namespace mpx::on_cuda
