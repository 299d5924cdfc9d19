/// @file
/// Bodies of sums that the host reads: squares portion by portion, and totals.
#pragma once

#include <cstddef>

#include <mpx/config/config.hpp>
#include <mpx/cuda/block.hpp>
#include <mpx/kernels/elementwise.hpp>

namespace mpx::on_cuda {

/// Elements in portions, and each portion in chunks of its own that blocks add up side by side: what a portion adds up to
/// depends on nothing else, whether or not its length is a multiple of theirs.
struct portion_chunks {
  std::size_t n = 0, portion = 0;

  static constexpr std::size_t length = 16384;
  [[nodiscard]] constexpr std::size_t portions() const { return n == 0 ? 0 : runs_of(n, portion); }
  /// Chunks of a whole portion; the last one may have fewer.
  [[nodiscard]] MPX_HOST_DEVICE constexpr std::size_t of_each() const { return runs_of(portion, length); }
  [[nodiscard]] constexpr std::size_t count() const {
    return n == 0 ? 0 : n / portion * of_each() + runs_of(n % portion, length);
  }
  [[nodiscard]] MPX_HOST_DEVICE element_run elements(std::size_t chunk) const {
    std::size_t const begin = chunk / of_each() * portion;
    auto const run = run_of(chunk % of_each(), n - begin < portion ? n - begin : portion, length);
    return {begin + run.begin, run.count};
  }
};

/// squares[c] = the sum of x[i]^2 over the c-th chunk
/// Shapes  squares: [chunks], x: [of.n]
/// Launch  one block for each chunk
struct chunk_squares {
  float* squares;
  float const* x;
  portion_chunks of;

  [[nodiscard]] launch_size size() const { return {of.count(), 256, lane_bytes}; }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    auto const run = of.elements(block.index());
    float const sum = kernels::sum_of_squares(block_lanes(block), x + run.begin, run.count);
    if (block.thread() == 0) squares[block.index()] = sum;
  }
};

/// totals[t] = the sum of the t-th `each` numbers of x, of what is left in the last one
/// Shapes  totals: [count], x: [n]
/// Launch  one block for each total; of one warp where no thread has two numbers, since more warps would add zeros
struct totals_of {
  float* totals;
  std::size_t count;
  float const* x;
  std::size_t n, each;

  [[nodiscard]] launch_size size() const { return {count, each <= warp_width ? warp_width : 512, lane_bytes}; }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    auto const run = run_of(block.index(), n, each);
    float const sum = block_lanes(block).sum(run.count, [x = x + run.begin](std::size_t i) { return x[i]; });
    if (block.thread() == 0) totals[block.index()] = sum;
  }
};

}  // namespace mpx::on_cuda
