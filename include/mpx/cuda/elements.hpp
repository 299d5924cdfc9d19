/// @file
/// Bodies of element-wise operations: each block leaves a run of elements to kernels/, each thread what it loads at once.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <mpx/backend/operations.hpp>
#include <mpx/config/config.hpp>
#include <mpx/core/dtype.hpp>
#include <mpx/cuda/block.hpp>
#include <mpx/cuda/vector_access.hpp>
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
    element_wise(block, run.count, [](auto const& along, std::size_t count, auto... at) { kernels::cast(along, at..., count); },
                 only_written{to + run.begin}, from + run.begin);
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

namespace detail {

struct to_float {
  template <class T>
  MPX_HOST_DEVICE MPX_INLINE void operator()(auto const& along, std::size_t n, float* to, T const* from) const {
    along.each(n, [=](std::size_t i) { to[i] = static_cast<float>(from[i]); });
  }
};

struct to_zero {
  template <class T>
  MPX_HOST_DEVICE MPX_INLINE void operator()(auto const& along, std::size_t n, T* to) const {
    along.each(n, [=](std::size_t i) { to[i] = T(0.0f); });
  }
};

}  // namespace detail

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
    element_wise(block, run.count, detail::to_float{}, only_written{to + run.begin}, from + run.begin);
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
    element_wise(block, run.count, [](auto const& along, std::size_t count, auto... at) { kernels::add(along, at..., count); },
                 y + run.begin, x + run.begin);
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
    element_wise(block, run.count,
                 [this](auto const& along, std::size_t count, auto... at) { kernels::scale(along, at..., factor, count); },
                 only_written{y + run.begin}, x + run.begin);
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
    element_wise(block, run.count,
                 [](auto const& along, std::size_t count, auto... at) { kernels::activate<Function>(along, at..., count); },
                 only_written{y + run.begin}, x + run.begin);
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
    element_wise(block, run.count,
                 [](auto const& along, std::size_t count, auto... at) {
                   kernels::activation_gradient<Function>(along, at..., count);
                 },
                 only_written{dx + run.begin}, dy + run.begin, x + run.begin);
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
    element_wise(block, run.count,
                 [this](auto const& along, std::size_t count, auto... at) {
                   kernels::relu_dropout_gradient(along, at..., factor, count);
                 },
                 only_written{dx + run.begin}, dy + run.begin, y + run.begin);
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
    std::size_t const begin = block.index() / runs_of(n) * n + run.begin;
    element_wise(block, run.count,
                 [](auto const& along, std::size_t count, auto... at) { kernels::position_row(along, at..., count); },
                 only_written{y + begin}, x + begin, table + run.begin);
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
    element_wise(block, width, detail::to_float{}, only_written{y + block.index() * width}, row);
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
    step(block, run, std::make_index_sequence<states>{});
  }

 private:
  template <class Block, std::size_t... S>
  MPX_HOST_DEVICE MPX_INLINE void step(Block const& block, element_run const& run, std::index_sequence<S...>) const {
    auto const one = [this, by = decision == nullptr ? factor : A(decision->factor)](auto const& along, std::size_t count, T* to,
                                                                                     A const* slope, A* from, auto... kept) {
      kernels::update<Optimizer>(along, constants, from, to, slope, std::array<A*, states>{kept...}, count, by, bound);
    };
    auto const master_alone = [&](auto const& along, std::size_t count, auto... rest) {
      one(along, count, static_cast<T*>(nullptr), rest...);
    };
    bool const alone = weights == nullptr || static_cast<void const*>(weights) == static_cast<void const*>(master);
    if (alone) element_wise(block, run.count, master_alone, gradient + run.begin, master + run.begin, state[S] + run.begin...);
    else element_wise(block, run.count, one, only_written{weights + run.begin}, gradient + run.begin, master + run.begin,
                      state[S] + run.begin...);
  }
};

}  // namespace mpx::on_cuda
