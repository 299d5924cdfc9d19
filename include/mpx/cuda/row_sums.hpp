/// @file
/// Bodies of sums over rows: each thread holds the sums of a few adjacent columns and goes from row to row.
///
/// Long sums are taken in two bodies: blocks add chunks of rows, then chunks are added in their order. How rows are divided
/// into chunks depends on their number alone, and each sum is taken in ascending order: results repeat on every GPU.
/// Types   T in {float, bf16, f16}; A = accumulator_t<T>
#pragma once

#include <cstddef>
#include <cstdint>

#include <mpx/backend/operations.hpp>
#include <mpx/config/config.hpp>
#include <mpx/core/dtype.hpp>
#include <mpx/cuda/block.hpp>
#include <mpx/cuda/sort.hpp>
#include <mpx/cuda/vector_access.hpp>
#include <mpx/kernels/elementwise.hpp>
#include <mpx/kernels/embedding.hpp>
#include <mpx/kernels/norm.hpp>

namespace mpx::on_cuda {

/// Adjacent columns of a thread, 8 bytes of T: more would leave fewer threads to wait for memory.
template <class T>
inline constexpr unsigned columns_of_thread = 8 / sizeof(T);

/// Rows in chunks that blocks add up side by side, and columns in runs of 256.
struct row_chunks {
  std::size_t rows = 0, width = 0;

  static constexpr unsigned columns = 256;
  [[nodiscard]] MPX_HOST_DEVICE constexpr std::size_t length() const {
    std::size_t const even = (rows + 127) / 128;
    return even < 32 ? 32 : even;
  }
  [[nodiscard]] MPX_HOST_DEVICE constexpr std::size_t count() const { return runs_of(rows, length()); }
  /// Elements of the chunks' sums.
  [[nodiscard]] constexpr std::size_t elements() const { return count() * width; }
  [[nodiscard]] launch_size size(unsigned threads) const {
    return {count() * runs_of(width, columns), threads, 0};
  }
};

namespace detail {

/// What a block adds up: a chunk of rows in a run of columns, each thread in its own columns, one row after the other.
/// `walk(number, rows, c, to)` adds `number` adjacent columns, a constant of the compiler, from c on; `to` is where in the
/// chunks' sums theirs stand. `operand` begin rows, or sums of them.
template <unsigned Together, class Block, class Walk, class... Operand>
MPX_HOST_DEVICE MPX_INLINE void each_column_of_chunk(Block const& block, row_chunks const& of, Walk walk,
                                                     Operand const*... operand) {
  auto const column_runs = static_cast<unsigned>(runs_of(of.width, row_chunks::columns));
  auto const place = static_cast<unsigned>(block.index());
  std::size_t const chunk = place / column_runs;
  auto const column = run_of(place % column_runs, of.width, row_chunks::columns);
  auto const rows = run_of(chunk, of.rows, of.length());
  std::size_t const lead = of.width % Together == 0 ? lead_of<Together>(column.count, operand...) : column.count;
  each_adjacent<Together>(block, column.count, lead, [&](auto number, std::size_t c) {
    walk(number, rows, column.begin + c, chunk * of.width + column.begin + c);
  });
}

}  // namespace detail

/// sums[chunk] = the sum of x[r] over the chunk's rows
/// Shapes  sums: [chunks, width], x: [rows, width]
/// Launch  one block for each chunk of rows and 256 columns
template <class T>
struct chunk_column_sums {
  using A = accumulator_t<T>;
  A* sums;
  T const* x;
  row_chunks of;

  static constexpr unsigned together = columns_of_thread<T>, most_threads = row_chunks::columns / together;
  [[nodiscard]] launch_size size() const { return of.size(most_threads); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    auto const walk = [&](auto number, element_run rows, std::size_t c, std::size_t to) {
      adjacent<A, number()> sum = {};
      MPX_UNROLL_BY(8)
      for (std::size_t r = rows.begin; r < rows.begin + rows.count; ++r)
        kernels::add_to_sum(thread_lanes{}, sum.at, load<number()>(block, x + r * of.width + c).at, number());
      store(block, sums + to, sum);
    };
    detail::each_column_of_chunk<together>(block, of, walk, sums, x);
  }
};

/// Each chunk's share of the parameters' gradients.
/// Shapes  dweight, dbias: [chunks, width]
/// Launch  as chunk_column_sums
template <class T>
struct layer_norm_parameter_gradients {
  using A = accumulator_t<T>;
  A *dweight, *dbias;
  T const *dy, *x;
  A const *mean, *rstd;
  row_chunks of;

  static constexpr unsigned together = columns_of_thread<T>, most_threads = row_chunks::columns / together;
  [[nodiscard]] launch_size size() const { return of.size(most_threads); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    auto const walk = [&](auto number, element_run rows, std::size_t c, std::size_t to) {
      adjacent<A, number()> weights = {}, biases = {};
      MPX_UNROLL_BY(8)
      for (std::size_t r = rows.begin; r < rows.begin + rows.count; ++r) {
        std::size_t const at = r * of.width + c;
        kernels::layer_norm_parameter_gradient_row(thread_lanes{}, weights.at, biases.at, load<number()>(block, dy + at).at,
                                                   load<number()>(block, x + at).at, mean[r], rstd[r], number());
      }
      store(block, dweight + to, weights);
      store(block, dbias + to, biases);
    };
    detail::each_column_of_chunk<together>(block, of, walk, dweight, dbias, dy, x);
  }
};

/// Shapes  dweight: [chunks, width]
/// Launch  as chunk_column_sums
template <class T>
struct rms_norm_parameter_gradients {
  using A = accumulator_t<T>;
  A* dweight;
  T const *dy, *x;
  A const* rstd;
  row_chunks of;

  static constexpr unsigned together = columns_of_thread<T>, most_threads = row_chunks::columns / together;
  [[nodiscard]] launch_size size() const { return of.size(most_threads); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    auto const walk = [&](auto number, element_run rows, std::size_t c, std::size_t to) {
      adjacent<A, number()> weights = {};
      MPX_UNROLL_BY(8)
      for (std::size_t r = rows.begin; r < rows.begin + rows.count; ++r) {
        std::size_t const at = r * of.width + c;
        kernels::rms_norm_parameter_gradient_row(thread_lanes{}, weights.at, load<number()>(block, dy + at).at,
                                                 load<number()>(block, x + at).at, rstd[r], number());
      }
      store(block, dweight + to, weights);
    };
    detail::each_column_of_chunk<together>(block, of, walk, dweight, dy, x);
  }
};

/// sum[i] += x[0,i] + x[1,i] + ...: one summand after the other
/// Shapes  sum: [n], x: [rows, n]
/// Types   sum: accumulator_t<T>
/// Launch  one block for each 256 elements, each thread for a few that lie side by side
template <class T>
struct add_rows {
  accumulator_t<T>* sum;
  T const* x;
  std::size_t rows;
  std::size_t n;

  static constexpr unsigned columns = 256, together = columns_of_thread<T>, most_threads = columns / together;
  [[nodiscard]] launch_size size() const { return {runs_of(n, columns), most_threads, 0}; }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    auto const run = run_of(block.index(), n, columns);
    auto const* const from = x + run.begin;
    auto* const to = sum + run.begin;
    std::size_t const lead = n % together == 0 ? lead_of<together>(run.count, from, to) : run.count;
    each_adjacent<together>(block, run.count, lead, [&](auto number, std::size_t c) {
      auto own = load<number()>(block, to + c);
      MPX_UNROLL_BY(8)
      for (std::size_t r = 0; r < rows; ++r) {
        auto const more = load<number()>(block, from + r * n + c);
        kernels::add_to_sum(thread_lanes{}, own.at, more.at, number());
      }
      store(block, to + c, own);
    });
  }
};

/// dtable[ids[r] - mine.first] += dy[r] * factor, for ids of this slice: each row of the table adds its tokens in order
/// Shapes  dtable: [mine.count, width], dy: [rows, width], by_id: [rows]
/// Launch  one block for each token, of which the first with an id works for all that have it
template <class T>
struct embedding_backward {
  accumulator_t<T>* dtable;
  T const* dy;
  rows_by_id by_id;
  std::size_t rows, width;
  accumulator_t<T> factor;
  id_slice mine;

  [[nodiscard]] launch_size size() const { return per_row(rows, width); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    std::size_t const first = block.index();
    std::int32_t const whose = by_id.ids[first];
    std::size_t const id = static_cast<std::size_t>(whose) - mine.first;
    if (id >= mine.count || (first > 0 && by_id.ids[first - 1] == whose)) return;
    std::size_t const end = end_of(first);
    auto* const to = dtable + id * width;
    std::size_t const lead = width % together == 0 ? lead_of<together>(width, to, dy) : width;
    each_adjacent<together>(block, width, lead, [&](auto number, std::size_t c) {
      auto own = load<number()>(block, to + c);
      MPX_UNROLL_BY(4)
      for (std::size_t i = first; i < end; ++i) {
        auto const more = load<number()>(block, dy + static_cast<std::size_t>(by_id.rows[i]) * width + c);
        kernels::embedding_gradient_row(thread_lanes{}, own.at, more.at, factor, number());
      }
      store(block, to + c, own);
    });
  }

 private:
  static constexpr unsigned together = columns_of_thread<T>;
  /// Where another id begins, ids being sorted: most have few tokens, some have thousands.
  [[nodiscard]] MPX_HOST_DEVICE std::size_t end_of(std::size_t first) const {
    std::int32_t const whose = by_id.ids[first];
    std::size_t same = first, beyond = first + 1;
    for (std::size_t step = 2; beyond < rows && by_id.ids[beyond] == whose; step *= 2) {
      same = beyond;
      beyond = rows - beyond < step ? rows : beyond + step;
    }
    while (beyond - same > 1) {
      std::size_t const middle = same + (beyond - same) / 2;
      (by_id.ids[middle] == whose ? same : beyond) = middle;
    }
    return beyond;
  }
};

}  // namespace mpx::on_cuda
