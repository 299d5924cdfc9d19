/// @file
/// Bodies of element-wise operations: each block leaves a run of elements to kernels/.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <mpx/backend/operations.hpp>
#include <mpx/config/config.hpp>
#include <mpx/core/dtype.hpp>
#include <mpx/cuda/block.hpp>
#include <mpx/kernels/activation.hpp>
#include <mpx/kernels/dropout.hpp>
#include <mpx/kernels/elementwise.hpp>
#include <mpx/kernels/embedding.hpp>
#include <mpx/kernels/update.hpp>

namespace mpx::on_cuda {

/// to[i] = from[i], rounded to nearest
/// Shapes  to, from: [n]
/// Launch  one block for each 2048 elements
template <class T>
struct cast {
  T* to;
  accumulator_t<T> const* from;
  std::size_t n;

  [[nodiscard]] launch_size size() const { return per_run(n); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    auto const run = run_of(block.index(), n);
    kernels::cast(block_lanes(block), to + run.begin, from + run.begin, run.count);
  }
};

/// to[b, c, r] = from[b, r, c]
/// Shapes  from: [count, rows, columns], to: [count, columns, rows]
/// Launch  one block for each 2048 elements
struct swap_axes {
  float* to;
  float const* from;
  std::size_t count, rows, columns;

  [[nodiscard]] launch_size size() const { return per_run(count * rows * columns); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    auto const run = run_of(block.index(), count * rows * columns);
    block_lanes(block).each(run.count, [to = to, from = from, rows = rows, columns = columns, first = run.begin](std::size_t i) {
      std::size_t const at = first + i, r = at % rows, c = at / rows % columns, b = at / rows / columns;
      to[at] = from[(b * rows + r) * columns + c];
    });
  }
};

/// to[i] = float(from[i])
/// Shapes, Launch  as cast
template <class T>
struct widen {
  float* to;
  T const* from;
  std::size_t n;

  [[nodiscard]] launch_size size() const { return per_run(n); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    auto const run = run_of(block.index(), n);
    block_lanes(block).each(run.count, [to = to + run.begin, from = from + run.begin](std::size_t i) {
      to[i] = static_cast<float>(from[i]);
    });
  }
};

/// to[i] = id
/// Shapes, Launch  as cast
struct fill_ids {
  std::int32_t* to;
  std::int32_t id;
  std::size_t n;

  [[nodiscard]] launch_size size() const { return per_run(n); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    auto const run = run_of(block.index(), n);
    block_lanes(block).each(run.count, [to = to + run.begin, id = id](std::size_t i) { to[i] = id; });
  }
};

/// to[i] = i
/// Shapes, Launch  as cast
struct number_ids {
  std::int32_t* to;
  std::size_t n;

  [[nodiscard]] launch_size size() const { return per_run(n); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    auto const run = run_of(block.index(), n);
    block_lanes(block).each(run.count, [to = to, begin = run.begin](std::size_t i) {
      to[begin + i] = static_cast<std::int32_t>(begin + i);
    });
  }
};

/// y[i] += x[i]
/// Shapes  y, x: [n]
/// Launch  as cast
template <class T>
struct add {
  T* y;
  T const* x;
  std::size_t n;

  [[nodiscard]] launch_size size() const { return per_run(n); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    auto const run = run_of(block.index(), n);
    kernels::add(block_lanes(block), y + run.begin, x + run.begin, run.count);
  }
};

/// y[i] = factor * x[i]; y may be x
/// Shapes  y, x: [n]
/// Launch  as cast
template <class T>
struct scale {
  T* y;
  T const* x;
  accumulator_t<T> factor;
  std::size_t n;

  [[nodiscard]] launch_size size() const { return per_run(n); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    auto const run = run_of(block.index(), n);
    kernels::scale(block_lanes(block), y + run.begin, x + run.begin, factor, run.count);
  }
};

/// y[i] = f(x[i])
/// Shapes  y, x: [n]
/// Launch  as cast
template <class Function, class T>
struct activation_forward {
  T* y;
  T const* x;
  std::size_t n;

  [[nodiscard]] launch_size size() const { return per_run(n); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    auto const run = run_of(block.index(), n);
    kernels::activate<Function>(block_lanes(block), y + run.begin, x + run.begin, run.count);
  }
};

/// dx[i] = f'(x[i]) dy[i]
/// Shapes  dx, dy, x: [n]
/// Launch  as cast
template <class Function, class T>
struct activation_backward {
  T* dx;
  T const* dy;
  T const* x;
  std::size_t n;

  [[nodiscard]] launch_size size() const { return per_run(n); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    auto const run = run_of(block.index(), n);
    kernels::activation_gradient<Function>(block_lanes(block), dx + run.begin, dy + run.begin, x + run.begin, run.count);
  }
};

/// dx[i] = y[i] > 0 ? factor dy[i] : 0
/// Shapes  dx, dy, y: [n]
/// Launch  as cast
template <class T>
struct relu_dropout_backward {
  T* dx;
  T const* dy;
  T const* y;
  accumulator_t<T> factor;
  std::size_t n;

  [[nodiscard]] launch_size size() const { return per_run(n); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    auto const run = run_of(block.index(), n);
    kernels::relu_dropout_gradient(block_lanes(block), dx + run.begin, dy + run.begin, y + run.begin, factor, run.count);
  }
};

/// y[s,i] = x[s,i] + table[i]; y may be x
/// Shapes  y, x: [sequences, n], table: [n]
/// Launch  one block for each 2048 elements of each sequence
template <class T>
struct positions_forward {
  T* y;
  T const* x;
  T const* table;
  std::size_t sequences;
  std::size_t n;

  [[nodiscard]] launch_size size() const {
    auto const one = n <= 256 ? per_row(1, n) : per_run(n);
    return {sequences * runs_of(n), one.threads, one.shared};
  }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    auto const run = run_of(block.index() % runs_of(n), n);
    std::size_t const at = block.index() / runs_of(n) * n + run.begin;
    kernels::position_row(block_lanes(block), y + at, x + at, table + run.begin, run.count);
  }
};

/// sum[i] += x[0,i] + x[1,i] + ...: one summand after the other
/// Shapes  sum: [n], x: [rows, n]
/// Types   sum: accumulator_t<T>
/// Launch  one block for each 256 elements, whose threads wait for memory row by row: there had better be many
template <class T>
struct add_rows {
  accumulator_t<T>* sum;
  T const* x;
  std::size_t rows;
  std::size_t n;

  static constexpr unsigned columns = 256;
  [[nodiscard]] launch_size size() const { return {runs_of(n, columns), columns, lane_bytes}; }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    auto const run = run_of(block.index(), n, columns);
    for (std::size_t r = 0; r < rows; ++r)
      kernels::add_to_sum(block_lanes(block), sum + run.begin, x + r * n + run.begin, run.count);
  }
};

/// y[r] = row
/// Shapes  y: [rows, width], row: [width]
/// Types   y: accumulator_t<T>, row: T
/// Launch  one block for each row
template <class T>
struct repeat_row {
  accumulator_t<T>* y;
  T const* row;
  std::size_t rows;
  std::size_t width;

  [[nodiscard]] launch_size size() const { return per_row(rows, width); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    block_lanes(block).each(width, [y = y + block.index() * width, row = row](std::size_t c) {
      y[c] = accumulator_t<T>(row[c]);
    });
  }
};

/// One step of the optimizer; each gradient is multiplied by `factor`, then passed through `bound`. Where there is a decision
/// in the GPU's memory, its factor counts, and nothing changes unless it is to update.
/// Shapes  master, weights, gradient, each state: [n]; weights may be null or the master itself
/// Types   weights: T; the rest: accumulator_t<T>
/// Launch  as cast
template <class Optimizer, class T, class Bound>
struct update {
  using A = accumulator_t<T>;
  static constexpr std::size_t states = static_cast<std::size_t>(Optimizer::states);

  typename Optimizer::constants constants;
  A* master;
  T* weights;
  A const* gradient;
  std::array<A*, states> state;
  std::size_t n;
  A factor;
  update_decision const* decision;
  Bound bound;

  [[nodiscard]] launch_size size() const { return per_run(n); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    if (decision != nullptr && !decision->finite) return;
    auto const run = run_of(block.index(), n);
    auto at = state;
    for (auto& one : at) one += run.begin;
    kernels::update<Optimizer>(block_lanes(block), constants, master + run.begin,
                               weights == nullptr ? nullptr : weights + run.begin, gradient + run.begin, at, run.count,
                               decision == nullptr ? factor : A(decision->factor), bound);
  }
};

}  // namespace mpx::on_cuda
