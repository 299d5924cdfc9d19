/// @file
/// Bodies of sums that the host reads, squares portion by portion and totals, and of what is decided from them.
#pragma once

#include <cstddef>

#include <mpx/backend/operations.hpp>
#include <mpx/config/config.hpp>
#include <mpx/core/units.hpp>
#include <mpx/cuda/block.hpp>
#include <mpx/cuda/results.hpp>
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

/// The t-th total is the sum of the t-th `each` numbers of x, of what is left in the last one, or grows by it
/// Shapes  totals: [count], x: [n]
/// Launch  one block for each total; of one warp where no thread has two numbers, since more warps would add zeros
struct totals_of {
  number_places totals;
  std::size_t count;
  float const* x;
  std::size_t n, each;

  [[nodiscard]] launch_size size() const { return {count, each <= warp_width ? warp_width : 512, lane_bytes}; }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    auto const run = run_of(block.index(), n, each);
    float const sum = block_lanes(block).sum(run.count, [x = x + run.begin](std::size_t i) { return x[i]; });
    if (block.thread() != 0) return;
    float& total = totals.at[block.index() * totals.stride];
    total = totals.adds ? total + sum : sum;
  }
};

/// A decision's bytes, which are copied as if they were floats.
[[nodiscard]] inline float* as_floats(update_decision* one) {
  static_assert(sizeof *one % sizeof(float) == 0 && alignof(update_decision) == alignof(float));
  return reinterpret_cast<float*>(one);
}

/// What a GPU decides from, and where it writes what it has decided: one after the other in a block of memory.
/// Shapes  first_portion: [layers + 1]; squares: [portions, 2], of slices and of copies; losses: [microbatches]
struct decision_operands {
  update_decision* decision = nullptr;
  std::size_t* first_portion = nullptr;
  std::size_t layers = 0;
  float* squares = nullptr;
  std::size_t portions = 0;
  float* losses = nullptr;
  std::size_t microbatches = 0;

  decision_operands() = default;
  /// In a block of so many bytes, for these numbers of losses, squares and layers' bounds.
  decision_operands(std::byte* block, std::size_t losses_count, std::size_t squares_count, std::size_t bounds)
      : decision(reinterpret_cast<update_decision*>(block)),
        first_portion(reinterpret_cast<std::size_t*>(block + aligned(sizeof(update_decision)))),
        layers(bounds - 1),
        squares(reinterpret_cast<float*>(first_portion + bounds)),
        portions(squares_count / 2),
        losses(squares + squares_count),
        microbatches(losses_count) {}
  [[nodiscard]] static constexpr std::size_t bytes(std::size_t losses_count, std::size_t squares_count, std::size_t bounds) {
    return aligned(sizeof(update_decision)) + bounds * sizeof(std::size_t) + (squares_count + losses_count) * sizeof(float);
  }
};

/// Adds up squares layer by layer, those of its copies and those of its slices, and layers and losses in their order: as the
/// host does where it decides. Then it decides.
/// Shapes  as decision_operands
/// Launch  one block, whose threads bring squares to shared memory together and add up a layer each
template <class Decides>
struct decide {
  decision_operands of;
  Decides by;

  static constexpr std::size_t at_once = 4096;  ///< portions in shared memory
  [[nodiscard]] launch_size size() const { return {1, 256, (2 * at_once + 2 * of.layers) * sizeof(float)}; }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    float* const some = reinterpret_cast<float*>(block.shared());
    float *const slices = some + 2 * at_once, *const copies = slices + of.layers;
    for (std::size_t l = block.thread(); l < of.layers; l += block.threads()) slices[l] = copies[l] = 0;
    for (std::size_t begin = 0; begin < of.portions; begin += at_once) {
      std::size_t const end = begin + at_once < of.portions ? begin + at_once : of.portions;
      block_lanes(block).each(2 * (end - begin), [=, from = of.squares + 2 * begin](std::size_t i) { some[i] = from[i]; });
      block.wait();
      for (std::size_t l = block.thread(); l < of.layers; l += block.threads()) {
        std::size_t const first = of.first_portion[l], last = of.first_portion[l + 1];
        float of_slices = slices[l], of_copies = copies[l];
        for (std::size_t i = first < begin ? begin : first; i < last && i < end; ++i) {
          of_slices += some[2 * (i - begin)];
          of_copies += some[2 * (i - begin) + 1];
        }
        slices[l] = of_slices;
        copies[l] = of_copies;
      }
    }
    block.wait();
    if (block.thread() != 0) return;
    float squares = 0, loss = 0;
    for (std::size_t l = 0; l < of.layers; ++l) squares += copies[l] + slices[l];
    for (std::size_t m = 0; m < of.microbatches; ++m) loss += of.losses[m];
    *of.decision = by(squares, loss);
  }
};

}  // namespace mpx::on_cuda
