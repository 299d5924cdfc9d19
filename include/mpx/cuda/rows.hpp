/// @file
/// Bodies of row-wise operations: each block leaves a row to kernels/.
/// Types   T in {float, bf16, f16}; A = accumulator_t<T>
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include <mpx/backend/operations.hpp>
#include <mpx/config/config.hpp>
#include <mpx/core/dtype.hpp>
#include <mpx/cuda/block.hpp>
#include <mpx/cuda/elements.hpp>
#include <mpx/cuda/vector_access.hpp>
#include <mpx/kernels/activation.hpp>
#include <mpx/kernels/cross_entropy.hpp>
#include <mpx/kernels/dropout.hpp>
#include <mpx/kernels/elementwise.hpp>
#include <mpx/kernels/embedding.hpp>
#include <mpx/kernels/norm.hpp>
#include <mpx/kernels/rotary.hpp>

namespace mpx::on_cuda {

namespace detail {

/// Rows that are read more than once stay in registers where they fit.
template <class T>
[[nodiscard]] launch_size per_kept_row(std::size_t rows, std::size_t width) {
  return row_in_registers<T>::fits(width) ? row_in_registers<T>::size(rows, width) : per_row(rows, width);
}

}  // namespace detail

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

  [[nodiscard]] launch_size size() const { return detail::per_kept_row<T>(rows, width); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    using row = row_in_registers<T>;
    std::size_t const r = block.index(), at = r * width;
    A m, s;
    if (row::fits(width)) {
      row const of_x(block, x + at, width), of_weight(block, weight, width), of_bias(block, bias, width);
      row of_y;
      kernels::layer_norm_row(register_lanes<T, Block>(block), of_y.own, &m, &s, of_x.own, of_weight.own, of_bias.own, width);
      of_y.write(block, y + at, width);
    } else {
      kernels::layer_norm_row(block_lanes(block), y + at, &m, &s, x + at, weight, bias, width);
    }
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

  [[nodiscard]] launch_size size() const { return detail::per_kept_row<T>(rows, width); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    using row = row_in_registers<T>;
    std::size_t const r = block.index(), at = r * width;
    if (!row::fits(width))
      return kernels::layer_norm_gradient_row(block_lanes(block), dx + at, dy + at, x + at, mean[r], rstd[r], weight, width);
    row const of_dy(block, dy + at, width), of_x(block, x + at, width), of_weight(block, weight, width);
    row of_dx;
    kernels::layer_norm_gradient_row(register_lanes<T, Block>(block), of_dx.own, of_dy.own, of_x.own, mean[r], rstd[r],
                                     of_weight.own, width);
    of_dx.write(block, dx + at, width);
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

  static constexpr unsigned blocks_at_once = 1;  // rather than spill
  [[nodiscard]] launch_size size() const { return detail::per_kept_row<T>(rows, width); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    using row = row_in_registers<T>;
    std::size_t const r = block.index(), at = r * width;
    A s;
    if (row::fits(width)) {
      row const of_x(block, x + at, width), of_weight(block, weight, width);
      row of_y;
      kernels::rms_norm_row(register_lanes<T, Block>(block), of_y.own, &s, of_x.own, of_weight.own, width);
      of_y.write(block, y + at, width);
    } else {
      kernels::rms_norm_row(block_lanes(block), y + at, &s, x + at, weight, width);
    }
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

  [[nodiscard]] launch_size size() const { return detail::per_kept_row<T>(rows, width); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    using row = row_in_registers<T>;
    std::size_t const r = block.index(), at = r * width;
    if (!row::fits(width))
      return kernels::rms_norm_gradient_row(block_lanes(block), dx + at, dy + at, x + at, rstd[r], weight, width);
    row const of_dy(block, dy + at, width), of_x(block, x + at, width), of_weight(block, weight, width);
    row of_dx;
    kernels::rms_norm_gradient_row(register_lanes<T, Block>(block), of_dx.own, of_dy.own, of_x.own, rstd[r], of_weight.own,
                                   width);
    of_dx.write(block, dx + at, width);
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
    element_wise(block, width,
                 [](auto const& along, std::size_t count, auto... at) { kernels::gated_row<Function>(along, at..., count); },
                 only_written{y + r * width}, x + 2 * r * width, x + (2 * r + 1) * width);
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
    element_wise(block, width,
                 [](auto const& along, std::size_t count, auto... at) {
                   kernels::gated_gradient_row<Function>(along, at..., count);
                 },
                 only_written{dx + gate}, only_written{dx + value}, dy + r * width, x + gate, x + value);
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
    auto const sequence = static_cast<std::uint32_t>(r / tokens), token = static_cast<std::uint32_t>(r % tokens);
    T* const to = y + r * width;
    T const* const from = x + r * width;
    // One draw serves eight channels: of a thread's own eight, where rows and draws begin together.
    if (width % 8 != 0 || draw.first_channel % 8 != 0 || !is_aligned<8>(to) || !is_aligned<8>(from))
      return kernels::dropout_row<Formula>(block_lanes(block), to, from, draw, sequence, token, width);
    for (std::size_t c = 8 * block.thread(); c < width; c += 8 * block.threads()) {
      dropout_draw own = draw;
      own.first_channel = (draw.first_channel / 8 + static_cast<std::uint32_t>(c / 8)) * 8;
      auto const in = load<8>(block, from + c);
      adjacent<T, 8> out;
      kernels::dropout_row<Formula>(thread_lanes{}, out.at, in.at, own, sequence, token, 8);
      store(block, to + c, out);
    }
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
    only_written const to{y + r * width};
    if (id < mine.count)
      element_wise(block, width,
                   [this](auto const& along, std::size_t count, auto... at) {
                     kernels::embedding_row(along, at..., factor, count);
                   },
                   to, table + id * width);
    else
      element_wise(block, width, detail::to_zero{}, to);
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

namespace detail {

/// The largest of a row. It does not depend on who looks at which element.
template <class Block, class T>
[[nodiscard]] MPX_HOST_DEVICE MPX_INLINE float largest_of(Block const& block, T const* row, std::size_t width) {
  constexpr unsigned together = 16 / sizeof(T);
  float own = -std::numeric_limits<float>::infinity();
  each_adjacent<together>(block, width, lead_of<together>(width, row), [&](auto number, std::size_t first) {
    auto const some = load<number()>(block, row + first);
    own = larger{}(own, thread_lanes{}.max(number(), [&](std::size_t i) { return static_cast<float>(some.at[i]); }));
  });
  return combine_in_block(block, own, larger{});
}

/// As kernels::cross_entropy_slice_row, the gradient 16 bytes at a time wherever in memory the row begins.
template <class Block, class T, class A>
[[nodiscard]] MPX_HOST_DEVICE MPX_INLINE A cross_entropy_of(Block const& block, T* logits, A high,
                                                            kernels::cross_entropy_parts<A> const& parts, std::int32_t target,
                                                            std::size_t vocabulary, id_slice mine, A smoothing,
                                                            A gradient_scale, bool with_gradient) {
  A const loss = kernels::cross_entropy_slice_row(block_lanes(block), logits, high, parts, target, vocabulary, mine,
                                                  smoothing, gradient_scale, false);
  if (!with_gradient) return loss;
  block.wait();  // all threads have read the logits
  if (target < 0) {
    element_wise(block, mine.count, to_zero{}, only_written{logits});
    return loss;
  }
  constexpr unsigned together = 16 / sizeof(T);
  auto const slope = kernels::cross_entropy_slope_of(high, parts.total, vocabulary, smoothing, gradient_scale);
  std::size_t const label = static_cast<std::size_t>(target) - mine.first;
  each_adjacent<together>(block, mine.count, lead_of<together>(mine.count, logits), [&](auto number, std::size_t first) {
    auto some = load<number()>(block, logits + first);
    kernels::cross_entropy_gradient(thread_lanes{}, some.at, number(), slope, label - first);
    store(block, logits + first, some);
  });
  return loss;
}

}  // namespace detail

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
    T* const row = logits + r * vocabulary;
    std::int32_t const target = targets[r];
    id_slice const all{0, vocabulary};
    A const high = target < 0 ? A(0) : detail::largest_of(block, row, vocabulary);
    auto const parts = kernels::cross_entropy_sums_row(block_lanes(block), static_cast<T const*>(row), high, target, all,
                                                       smoothing > A(0));
    A const loss = detail::cross_entropy_of(block, row, high, parts, target, vocabulary, all, smoothing, gradient_scale,
                                            with_gradient);
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
    float const most = detail::largest_of(block, x + block.index() * width, width);
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
    A const loss = detail::cross_entropy_of(block, logits + r * mine.count, high[r], parts, targets[r], vocabulary, mine,
                                            smoothing, gradient_scale, with_gradient);
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
    element_wise(block, width, detail::to_float{}, only_written{to + s * width}, from);
  }
};

}  // namespace mpx::on_cuda
