/// @file
/// A body of work and the block of threads that runs it: on the GPU, or emulated by threads of the processor in tests.
///
/// An operation is a struct of operands, its body. `size()` says how many blocks of how many threads it wants, and its
/// call operator is what each thread does; `most_threads`, where it has that, bounds the threads of a block, and leaves each
/// more registers. A block tells a thread where it stands and lets threads meet:
///   index(), count()     which block this is, and of how many
///   thread(), threads()  which thread of the block, and of how many; whole warps
///   shared()             the block's memory, as large as size() asks for, aligned to 16 bytes
///   wait()               returns when every thread of the block has called it; what they wrote before is then seen
///   exchange(v, d)       the v of the thread of the same warp whose number differs by the bit d; all its threads call it
///   read<n>(to, from)    n of 2, 4, 8 or 16 bytes of the GPU's memory, aligned to n, to registers in one access
///   write<n>(to, from)   the same from registers to the GPU's memory
/// Those that use the matrix units (fragment.hpp) call, with all threads of a warp and the same arguments but the fragments,
///   rows(at, stride)     the 16 x 16 matrix of 16-bit numbers at `at` in shared memory, as a fragment
///   columns(at, stride)  its transpose's 8 x 8 matrices, in the places of the matrix's own
///   multiply<T>(sums, a, b0, b1)  adds a product of 16 rows, 8 columns and depth 16
///   pack<T>(low, high)   two numbers rounded to T, in one register
/// may ask for memory before it is needed,
///   copy_ahead<n>(to, from, there)  begins to copy 4 or 16 bytes from the GPU's memory to shared memory; zeros if not `there`
///   end_copies()         what the thread has begun to copy since the last call is one set of copies
///   wait_for_copies<N>() all of the thread's sets but the N last have come; other threads see that behind a wait()
/// and take powers of two:
///   exp2(x)              2^x, 0 where that is subnormal
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>

#include <mpx/config/config.hpp>

namespace mpx::on_cuda {

inline constexpr unsigned warp_width = 32;

/// How a body is run.
/// Units   shared: bytes
struct launch_size {
  std::size_t blocks = 0;
  unsigned threads = warp_width;
  std::size_t shared = 0;

  friend constexpr bool operator==(launch_size const&, launch_size const&) = default;
};

/// Shared memory that block_lanes combine the results of warps in, at the block's beginning.
/// Units   bytes
inline constexpr std::size_t lane_bytes = warp_width * sizeof(float);

struct plus {
  MPX_HOST_DEVICE MPX_INLINE float operator()(float a, float b) const { return a + b; }
};
/// NaN is ignored.
struct larger {
  MPX_HOST_DEVICE MPX_INLINE float operator()(float a, float b) const { return std::fmax(a, b); }
};

/// The values of a warp's threads, combined in pairs; every one of them gets the result.
template <class Block, class Combine>
MPX_HOST_DEVICE MPX_INLINE float combine_in_warp(Block const& block, float value, Combine combine) {
  for (unsigned distance = warp_width / 2; distance > 0; distance /= 2)
    value = combine(value, block.exchange(value, distance));
  return value;
}

/// The same of a block's threads: its warps in order.
template <class Block, class Combine>
MPX_HOST_DEVICE MPX_INLINE float combine_in_block(Block const& block, float value, Combine combine) {
  value = combine_in_warp(block, value, combine);
  if (block.threads() == warp_width) return value;
  float* const of_warps = reinterpret_cast<float*>(block.shared());
  if (block.thread() % warp_width == 0) of_warps[block.thread() / warp_width] = value;
  block.wait();
  float all = of_warps[0];
  for (unsigned w = 1; w < block.threads() / warp_width; ++w) all = combine(all, of_warps[w]);
  block.wait();  // the next reduction writes there again
  return all;
}

/// The threads of one block share a row: element i belongs to thread i % threads. Each thread adds its elements in
/// order, a warp adds its threads in pairs, and the block its warps in order: the result depends on the row's length and
/// the number of threads, which depends on the length alone.
template <class Block>
class block_lanes {
 public:
  explicit MPX_HOST_DEVICE block_lanes(Block const& block) : block_(block) {}

  /// Begins when all threads have come to it: what f writes over has been read.
  template <class F> MPX_HOST_DEVICE MPX_INLINE void each(std::size_t n, F f) const {
    block_.wait();
    for (std::size_t i = block_.thread(); i < n; i += block_.threads()) f(i);
  }

  template <class F> MPX_HOST_DEVICE MPX_INLINE float sum(std::size_t n, F f) const {
    return reduced(n, f, 0.0f, plus{});
  }

  template <class F> MPX_HOST_DEVICE MPX_INLINE float max(std::size_t n, F f) const {
    return reduced(n, f, -std::numeric_limits<float>::infinity(), larger{});
  }

 private:
  template <class F, class Combine>
  MPX_HOST_DEVICE MPX_INLINE float reduced(std::size_t n, F f, float own, Combine combine) const {
    MPX_UNROLL_BY(4)  // so that several elements are on their way
    for (std::size_t i = block_.thread(); i < n; i += block_.threads()) own = combine(own, f(i));
    return combine_in_block(block_, own, combine);
  }

  Block const& block_;
};

/// One block for each row, with more threads for longer rows.
[[nodiscard]] constexpr launch_size per_row(std::size_t rows, std::size_t width) {
  unsigned const threads = width <= 64 ? 32 : width <= 256 ? 64 : width <= 1024 ? 128 : width <= 16384 ? 256 : 512;
  return {rows, threads, lane_bytes};
}

/// Elements of a block where rows do not matter.
inline constexpr std::size_t run_length = 2048;

struct element_run {
  std::size_t begin, count;
};

/// The number-th run of n elements.
[[nodiscard]] MPX_HOST_DEVICE MPX_INLINE element_run run_of(std::size_t number, std::size_t n,
                                                            std::size_t length = run_length) {
  std::size_t const begin = number * length;
  return {begin, n - begin < length ? n - begin : length};
}
[[nodiscard]] MPX_HOST_DEVICE constexpr std::size_t runs_of(std::size_t n, std::size_t length = run_length) {
  return (n + length - 1) / length;
}

/// One block for each run of n elements.
[[nodiscard]] constexpr launch_size per_run(std::size_t n) { return {runs_of(n), 256, lane_bytes}; }

}  // namespace mpx::on_cuda
