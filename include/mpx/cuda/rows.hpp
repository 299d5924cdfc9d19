/// @file
/// Bodies of row-wise operations: each block leaves a row to kernels/.
///
/// Sums over rows are taken in two bodies: blocks add chunks of rows, then chunks are added in their order. How rows are
/// divided into chunks depends on their number alone, so that results repeat on every GPU.
/// Types   T in {float, bf16, f16}; A = accumulator_t<T>
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include <mpx/backend/operations.hpp>
#include <mpx/config/config.hpp>
#include <mpx/core/dtype.hpp>
#include <mpx/cuda/block.hpp>
#include <mpx/cuda/sort.hpp>
#include <mpx/kernels/activation.hpp>
#include <mpx/kernels/cross_entropy.hpp>
#include <mpx/kernels/dropout.hpp>
#include <mpx/kernels/elementwise.hpp>
#include <mpx/kernels/embedding.hpp>
#include <mpx/kernels/norm.hpp>
#include <mpx/kernels/rotary.hpp>

namespace mpx::on_cuda {

/// Rows in chunks that blocks add up side by side, and columns in runs of 256.
struct row_chunks {
  std::size_t rows = 0, width = 0;

  static constexpr std::size_t columns = 256;
  [[nodiscard]] MPX_HOST_DEVICE constexpr std::size_t length() const {
    std::size_t const even = (rows + 127) / 128;
    return even < 32 ? 32 : even;
  }
  [[nodiscard]] MPX_HOST_DEVICE constexpr std::size_t count() const { return runs_of(rows, length()); }
  /// Elements of the chunks' sums.
  [[nodiscard]] constexpr std::size_t elements() const { return count() * width; }
  [[nodiscard]] launch_size size() const { return {count() * runs_of(width, columns), columns, lane_bytes}; }
};

namespace detail {

/// Calls add(row, first column, columns, where in the sums) for each row of this block's chunk, its sums being zeroed.
template <class Block, class A, class Add>
MPX_HOST_DEVICE MPX_INLINE void add_chunk(Block const& block, row_chunks const& of, A* sums, A* more_sums, Add add) {
  std::size_t const column_runs = runs_of(of.width, row_chunks::columns);
  auto const column = run_of(block.index() % column_runs, of.width, row_chunks::columns);
  std::size_t const chunk = block.index() / column_runs;
  auto const rows = run_of(chunk, of.rows, of.length());
  std::size_t const at = chunk * of.width + column.begin;
  block_lanes(block).each(column.count, [=](std::size_t c) {
    sums[at + c] = A(0);
    if (more_sums != nullptr) more_sums[at + c] = A(0);
  });
  for (std::size_t r = rows.begin; r < rows.begin + rows.count; ++r) add(r, column.begin, column.count, at);
}

}  // namespace detail

/// sums[chunk] = the sum of x[r] over the chunk's rows
/// Shapes  sums: [chunks, width], x: [rows, width]
/// Launch  one block for each chunk of rows and 256 columns
template <class T>
struct chunk_column_sums {
  accumulator_t<T>* sums;
  T const* x;
  row_chunks of;

  [[nodiscard]] launch_size size() const { return of.size(); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    using A = accumulator_t<T>;
    detail::add_chunk(block, of, sums, static_cast<A*>(nullptr),
                      [&](std::size_t r, std::size_t c, std::size_t n, std::size_t at) {
                        kernels::add_to_sum(block_lanes(block), sums + at, x + r * of.width + c, n);
                      });
  }
};

/// y[r] = layer_norm(x[r])
/// Shapes  y, x: [rows, width]; mean, rstd: [rows]; weight, bias: [width]
/// Launch  one block for each row
/// Source  kernels/norm.hpp
template <class T>
struct layer_norm_forward {
  using A = accumulator_t<T>;
  T* y;
  A *mean, *rstd;
  T const *x, *weight, *bias;
  std::size_t rows, width;

  [[nodiscard]] launch_size size() const { return per_row(rows, width); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    std::size_t const r = block.index();
    A m, s;
    kernels::layer_norm_row(block_lanes(block), y + r * width, &m, &s, x + r * width, weight, bias, width);
    if (block.thread() != 0) return;
    mean[r] = m;
    rstd[r] = s;
  }
};

/// dx[r], as kernels/norm.hpp has it
/// Shapes, Launch  as layer_norm_forward
template <class T>
struct layer_norm_input_gradient {
  using A = accumulator_t<T>;
  T* dx;
  T const *dy, *x;
  A const *mean, *rstd;
  T const* weight;
  std::size_t rows, width;

  [[nodiscard]] launch_size size() const { return per_row(rows, width); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    std::size_t const r = block.index(), at = r * width;
    kernels::layer_norm_gradient_row(block_lanes(block), dx + at, dy + at, x + at, mean[r], rstd[r], weight, width);
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

  [[nodiscard]] launch_size size() const { return of.size(); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    detail::add_chunk(block, of, dweight, dbias, [&](std::size_t r, std::size_t c, std::size_t n, std::size_t at) {
      std::size_t const from = r * of.width + c;
      kernels::layer_norm_parameter_gradient_row(block_lanes(block), dweight + at, dbias + at, dy + from, x + from,
                                                 mean[r], rstd[r], n);
    });
  }
};

/// y[r] = rms_norm(x[r])
/// Shapes  y, x: [rows, width]; rstd: [rows]; weight: [width]
/// Launch  one block for each row
template <class T>
struct rms_norm_forward {
  using A = accumulator_t<T>;
  T* y;
  A* rstd;
  T const *x, *weight;
  std::size_t rows, width;

  [[nodiscard]] launch_size size() const { return per_row(rows, width); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    std::size_t const r = block.index();
    A s;
    kernels::rms_norm_row(block_lanes(block), y + r * width, &s, x + r * width, weight, width);
    if (block.thread() == 0) rstd[r] = s;
  }
};

/// Shapes, Launch  as rms_norm_forward
template <class T>
struct rms_norm_input_gradient {
  using A = accumulator_t<T>;
  T* dx;
  T const *dy, *x;
  A const* rstd;
  T const* weight;
  std::size_t rows, width;

  [[nodiscard]] launch_size size() const { return per_row(rows, width); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    std::size_t const r = block.index(), at = r * width;
    kernels::rms_norm_gradient_row(block_lanes(block), dx + at, dy + at, x + at, rstd[r], weight, width);
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

  [[nodiscard]] launch_size size() const { return of.size(); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    detail::add_chunk(block, of, dweight, static_cast<A*>(nullptr),
                      [&](std::size_t r, std::size_t c, std::size_t n, std::size_t at) {
                        std::size_t const from = r * of.width + c;
                        kernels::rms_norm_parameter_gradient_row(block_lanes(block), dweight + at, dy + from, x + from,
                                                                 rstd[r], n);
                      });
  }
};

/// y[r,i] = f(x[r,i]) x[r,width+i]
/// Shapes  y: [rows, width], x: [rows, 2 width]
/// Launch  one block for each row
template <class Function, class T>
struct gated_forward {
  T* y;
  T const* x;
  std::size_t rows, width;

  [[nodiscard]] launch_size size() const { return per_row(rows, width); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    std::size_t const r = block.index();
    kernels::gated_row<Function>(block_lanes(block), y + r * width, x + 2 * r * width, x + (2 * r + 1) * width, width);
  }
};

/// Shapes  dx, x: [rows, 2 width], dy: [rows, width]
/// Launch  one block for each row
template <class Function, class T>
struct gated_backward {
  T* dx;
  T const *dy, *x;
  std::size_t rows, width;

  [[nodiscard]] launch_size size() const { return per_row(rows, width); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    std::size_t const r = block.index(), gate = 2 * r * width, value = gate + width;
    kernels::gated_gradient_row<Function>(block_lanes(block), dx + gate, dx + value, dy + r * width, x + gate, x + value,
                                          width);
  }
};

/// Turns x in place, as rotary_shape says.
/// Shapes  heads have at most most_head_width columns
/// Launch  one block for each token of each sequence; its sines and cosines are worked out in f64
template <class T>
struct rotary {
  rotary_shape s;
  T* x;

  [[nodiscard]] launch_size size() const {
    return {s.sequences * s.tokens, 64, lane_bytes + s.head_width * sizeof(float)};
  }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    block_lanes const along(block);
    std::size_t const pairs = s.head_width / 2, token = block.index() % s.tokens;
    float* const cosine = reinterpret_cast<float*>(block.shared() + lane_bytes);
    float* const sine = cosine + pairs;
    along.each(pairs, [&](std::size_t i) {
      double const angle =
          (s.back ? -1.0 : 1.0) * static_cast<double>(token) * kernels::rotary_frequency(i, s.head_width, s.base);
      cosine[i] = static_cast<float>(std::cos(angle));
      sine[i] = static_cast<float>(std::sin(angle));
    });
    for (std::size_t h = 0; h < s.heads; ++h)
      kernels::rotate_pairs(along, x + block.index() * s.stride + h * s.head_width, cosine, sine, pairs);
  }
};

/// y[s,t] = dropout(f(x[s,t])); y may be x
/// Shapes  y, x: [sequences, tokens, width]
/// Launch  one block for each token of each sequence
template <class T, class Formula = kernels::unchanged>
struct dropout {
  T* y;
  T const* x;
  dropout_draw draw;
  std::size_t sequences, tokens, width;

  [[nodiscard]] launch_size size() const { return per_row(sequences * tokens, width); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    std::size_t const r = block.index();
    kernels::dropout_row<Formula>(block_lanes(block), y + r * width, x + r * width, draw,
                                  static_cast<std::uint32_t>(r / tokens), static_cast<std::uint32_t>(r % tokens), width);
  }
};

template <class T>
using relu_dropout = dropout<T, kernels::activation_formula<relu>>;

/// y[r] = table[ids[r] - mine.first] * factor; 0 for ids of other slices
/// Shapes  y: [rows, width], table: [mine.count, width], ids: [rows]
/// Launch  one block for each row
template <class T>
struct embedding_forward {
  T* y;
  T const* table;
  std::int32_t const* ids;
  std::size_t rows, width;
  accumulator_t<T> factor;
  id_slice mine;

  [[nodiscard]] launch_size size() const { return per_row(rows, width); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    std::size_t const r = block.index(), id = static_cast<std::size_t>(ids[r]) - mine.first;
    if (id < mine.count) kernels::embedding_row(block_lanes(block), y + r * width, table + id * width, factor, width);
    else block_lanes(block).each(width, [y = y + r * width](std::size_t c) { y[c] = T(0.0f); });
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
    for (std::size_t i = first; i < rows && by_id.ids[i] == whose; ++i)
      kernels::embedding_gradient_row(block_lanes(block), dtable + id * width,
                                      dy + static_cast<std::size_t>(by_id.rows[i]) * width, factor, width);
  }
};

/// Shapes  table: [context, width]
/// Launch  one block for each position
template <class T>
struct sinusoidal_table {
  T* table;
  std::size_t context, width;

  [[nodiscard]] launch_size size() const { return per_row(context, width); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    std::size_t const t = block.index(), n = width;
    block_lanes(block).each(width, [=, to = table + t * width](std::size_t c) {
      to[c] = T(static_cast<float>(kernels::sinusoidal_position(t, c, n)));
    });
  }
};

/// losses[r], and with_gradient the logits' gradient over the logits
/// Shapes  losses: [rows], logits: [rows, vocabulary], targets: [rows]
/// Launch  one block for each row
/// Source  kernels/cross_entropy.hpp
template <class T>
struct cross_entropy {
  using A = accumulator_t<T>;
  A* losses;
  T* logits;
  std::int32_t const* targets;
  std::size_t rows, vocabulary;
  A smoothing, gradient_scale;
  bool with_gradient;

  [[nodiscard]] launch_size size() const { return per_row(rows, vocabulary); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    std::size_t const r = block.index();
    A const loss = kernels::cross_entropy_row(block_lanes(block), logits + r * vocabulary, targets[r], vocabulary,
                                              smoothing, gradient_scale, with_gradient);
    if (block.thread() == 0) losses[r] = loss;
  }
};

/// high[r] = the largest of x[r]
/// Shapes  x: [rows, width], high: [rows]
/// Launch  one block for each row
template <class T>
struct row_maxima {
  accumulator_t<T>* high;
  T const* x;
  std::size_t rows, width;

  [[nodiscard]] launch_size size() const { return per_row(rows, width); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    float const most =
        block_lanes(block).max(width, [at = x + block.index() * width](std::size_t c) { return float(at[c]); });
    if (block.thread() == 0) high[block.index()] = most;
  }
};

/// What a slice of the vocabulary contributes to the sums of each row.
/// Shapes  sums: [3, rows], logits: [rows, mine.count], high: [rows], the largest logit of all slices
/// Launch  one block for each row
template <class T>
struct cross_entropy_sums {
  using A = accumulator_t<T>;
  A* sums;
  T const* logits;
  A const* high;
  std::int32_t const* targets;
  std::size_t rows;
  id_slice mine;
  bool with_all;

  [[nodiscard]] launch_size size() const { return per_row(rows, mine.count); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    std::size_t const r = block.index();
    auto const s = kernels::cross_entropy_sums_row(block_lanes(block), logits + r * mine.count, high[r], targets[r], mine,
                                                   with_all);
    if (block.thread() != 0) return;
    sums[r] = s.total;
    sums[rows + r] = s.at_label;
    sums[2 * rows + r] = s.all;
  }
};

/// As cross_entropy, on a slice of the vocabulary, from the sums of all slices.
/// Launch  one block for each row
template <class T>
struct cross_entropy_slice {
  using A = accumulator_t<T>;
  A* losses;
  T* logits;
  A const *high, *sums;
  std::int32_t const* targets;
  std::size_t rows, vocabulary;
  id_slice mine;
  A smoothing, gradient_scale;
  bool with_gradient;

  [[nodiscard]] launch_size size() const { return per_row(rows, mine.count); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    std::size_t const r = block.index();
    kernels::cross_entropy_parts<A> const parts{sums[r], sums[rows + r], sums[2 * rows + r]};
    A const loss = kernels::cross_entropy_slice_row(block_lanes(block), logits + r * mine.count, high[r], parts,
                                                    targets[r], vocabulary, mine, smoothing, gradient_scale,
                                                    with_gradient);
    if (block.thread() == 0) losses[r] = loss;
  }
};

/// to[s] = the row of each sequence's last token, as its length says
/// Shapes  to: [sequences, width], x: [sequences, tokens, width], lengths: [sequences]
/// Launch  one block for each sequence
template <class T>
struct last_rows {
  float* to;
  T const* x;
  std::int32_t const* lengths;
  std::size_t sequences, tokens, width;

  [[nodiscard]] launch_size size() const { return per_row(sequences, width); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    std::size_t const s = block.index();
    T const* const from = x + (s * tokens + static_cast<std::size_t>(lengths[s]) - 1) * width;
    block_lanes(block).each(width, [=, to = to + s * width](std::size_t c) { to[c] = static_cast<float>(from[c]); });
  }
};

}  // namespace mpx::on_cuda
