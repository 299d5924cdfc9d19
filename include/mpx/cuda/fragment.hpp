/// @file
/// Matrices of 16-bit numbers in a warp's registers, for the GPU's matrix units.
///
/// Each thread of a warp holds a few elements. With g = thread / 4 % 8 and t = thread % 4, a product of 16 rows, 8 columns
/// and depth 16 takes, two elements in each register, the first in its lower half:
///   left   [16, 16]  pair 0: (g, 2t), (g, 2t + 1); pair 1: 8 rows below; pair 2: 8 columns right; pair 3: both
///   right  [16, 8]   first: (2t, g), (2t + 1, g); second: 8 rows below
///   sum    [16, 8]   0, 1: (g, 2t), (g, 2t + 1); 2, 3: 8 rows below, in f32
/// So sums of two such products side by side are, rounded, a left operand of the next product without leaving their thread.
/// Source  NVIDIA, PTX ISA, "Matrix Fragments for mma.m16n8k16 with floating point type"
#pragma once

#include <cstddef>
#include <cstdint>

#include <mpx/config/config.hpp>

namespace mpx::on_cuda {

/// Four 8 x 8 matrices, two elements of each in every thread: rows 0 to 7 and 8 to 15 of the left half, then of the right.
struct fragment {
  std::uint32_t pair[4];
};

/// Sums of 16 rows and 8 columns.
struct partial_sums {
  float at[4];
};

/// Where an element of a thread's sums stands: row, or column, of its 16 x 8.
[[nodiscard]] MPX_HOST_DEVICE MPX_INLINE unsigned row_of_sum(unsigned thread, unsigned i) {
  return thread / 4 % 8 + i / 2 * 8;
}
[[nodiscard]] MPX_HOST_DEVICE MPX_INLINE unsigned column_of_sum(unsigned thread, unsigned i) {
  return thread % 4 * 2 + i % 2;
}

/// sums[j] += left right, j over runs of 8 columns
/// Shapes  left: [16, 16 Depth] at `left`, right: [8 Columns, 16 Depth] at `right`, transposed in memory, so that each
///         column's elements lie side by side; both in shared memory with rows of `stride` elements
template <class T, unsigned Columns, unsigned Depth, class Block>
MPX_HOST_DEVICE MPX_INLINE void multiply_by_rows(Block const& block, partial_sums (&sums)[Columns], std::uint16_t const* left,
                                                 std::uint16_t const* right, unsigned stride) {
  static_assert(Columns % 2 == 0, "mpx::on_cuda::multiply_by_rows requires columns to come in sixteens");
  MPX_UNROLL_BY(2)
  for (unsigned k = 0; k < Depth; ++k) {
    fragment const a = block.rows(left + k * 16, stride);
    MPX_UNROLL
    for (unsigned j = 0; j < Columns; j += 2) {
      fragment const b = block.rows(right + j * 8 * stride + k * 16, stride);
      block.template multiply<T>(sums[j], a, b.pair[0], b.pair[2]);
      block.template multiply<T>(sums[j + 1], a, b.pair[1], b.pair[3]);
    }
  }
}

/// sums[j] += left right, left being sums of the warp before, rounded to T
/// Shapes  left: [16, 8 Depth]; right: [8 Depth, 8 Columns] in shared memory with rows of `stride` elements
template <class T, unsigned Columns, unsigned Depth, class Block>
MPX_HOST_DEVICE MPX_INLINE void multiply_sums(Block const& block, partial_sums (&sums)[Columns],
                                              partial_sums const (&left)[Depth], std::uint16_t const* right, unsigned stride) {
  static_assert(Columns % 2 == 0 && Depth % 2 == 0, "mpx::on_cuda::multiply_sums requires columns and depth to come in sixteens");
  MPX_UNROLL
  for (unsigned k = 0; k < Depth; k += 2) {
    fragment a;
    MPX_UNROLL
    for (unsigned i = 0; i < 4; ++i)
      a.pair[i] = block.template pack<T>(left[k + i / 2].at[i % 2 * 2], left[k + i / 2].at[i % 2 * 2 + 1]);
    MPX_UNROLL
    for (unsigned j = 0; j < Columns; j += 2) {
      fragment const b = block.columns(right + k * 8 * stride + j * 8, stride);
      block.template multiply<T>(sums[j], a, b.pair[0], b.pair[1]);
      block.template multiply<T>(sums[j + 1], a, b.pair[2], b.pair[3]);
    }
  }
}

}  // namespace mpx::on_cuda
