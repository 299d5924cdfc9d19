/// @file
/// The host's row-wise and element-wise operations: each walks over the rows and leaves one row to kernels/.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include <mpx/backend/operations.hpp>
#include <mpx/config/config.hpp>
#include <mpx/core/dtype.hpp>
#include <mpx/core/extent.hpp>
#include <mpx/host/lanes.hpp>
#include <mpx/kernels/activation.hpp>
#include <mpx/kernels/cross_entropy.hpp>
#include <mpx/kernels/dropout.hpp>
#include <mpx/kernels/elementwise.hpp>
#include <mpx/kernels/embedding.hpp>
#include <mpx/kernels/norm.hpp>
#include <mpx/kernels/rotary.hpp>
#include <mpx/kernels/update.hpp>

namespace mpx::on_host {

/// What one core does with rows. Tensors are row-major and do not overlap unless said; nothing is allocated; rows may
/// be 0. Sums over rows are taken in the order of the rows. Every operation is compiled once per element type, with
/// its formula inlined (flatten), and its sizes are known at run time only: all callers run the same instructions.
/// Types   T in {float, double, bf16, f16}; A = accumulator_t<T>
struct row_operations {
  template <class T> using A = accumulator_t<T>;

  static void zero(void* to, std::size_t bytes) {
    if (bytes != 0) std::memset(to, 0, bytes);
  }

  static void copy(void* to, void const* from, std::size_t bytes) {
    if (bytes != 0) std::memcpy(to, from, bytes);
  }

  /// to[i] = from[i], rounded to nearest
  template <class T> [[gnu::flatten]] MPX_KERNEL static void cast(T* to, A<T> const* from, std::size_t n) {
    kernels::cast(lanes{}, to, from, n);
  }

  /// y[i] += x[i]
  template <class T> [[gnu::flatten]] MPX_KERNEL static void add(T* y, T const* x, std::size_t n) {
    kernels::add(lanes{}, y, x, n);
  }

  /// x[r] += bias
  /// Shapes  x: [rows, width], bias: [width]
  template <class T> static void add_bias(T* x, T const* bias, std::size_t rows, std::size_t width) {
    positions_forward(x, x, bias, rows, 1, width);
  }

  /// y[i] = factor * x[i]; y may be x
  template <class T> [[gnu::flatten]] MPX_KERNEL static void scale(T* y, T const* x, A<T> factor, std::size_t n) {
    kernels::scale(lanes{}, y, x, factor, n);
  }

  /// sum[c] += sum_r x[r,c]
  /// Shapes  sum: [width], x: [rows, width]
  template <class T>
  [[gnu::flatten]] MPX_KERNEL static void column_sum(A<T>* sum, T const* x, std::size_t rows, std::size_t width) {
    for (std::size_t r = 0; r < rows; ++r) kernels::add_to_sum(lanes{}, sum, x + r * width, width);
  }

  /// sum_i x[i]^2, taken over blocks whose sums are then added in order, so that long runs stay accurate.
  template <class Sum>
  [[gnu::flatten]] [[nodiscard]] MPX_KERNEL static Sum sum_of_squares(Sum const* x, std::size_t n) {
    constexpr std::size_t block = 4096;
    Sum sum = 0;
    for (std::size_t i = 0; i < n; i += block) sum += kernels::sum_of_squares(lanes{}, x + i, std::min(block, n - i));
    return sum;
  }

  /// y[r] = table[ids[r] - mine.first] * factor; 0 for ids of other slices
  /// Shapes  y: [rows, width], table: [mine.count, width], ids: [rows], each in [0, vocabulary)
  template <class T>
  [[gnu::flatten]] MPX_KERNEL static void embedding_forward(T* y, T const* table, std::int32_t const* ids,
                                                            std::size_t rows, std::size_t width, A<T> factor,
                                                            id_slice mine = {}) {
    for (std::size_t r = 0; r < rows; ++r) {
      std::size_t const id = static_cast<std::size_t>(ids[r]) - mine.first;  // beyond all slices where it is before
      if (id < mine.count) kernels::embedding_row(lanes{}, y + r * width, table + id * width, factor, width);
      else zero(y + r * width, width * sizeof(T));
    }
  }

  /// dtable[ids[r] - mine.first] += dy[r] * factor, for ids of this slice
  template <class T>
  [[gnu::flatten]] MPX_KERNEL static void embedding_backward(A<T>* dtable, T const* dy, std::int32_t const* ids,
                                                             std::size_t rows, std::size_t width, A<T> factor,
                                                             id_slice mine = {}) {
    for (std::size_t r = 0; r < rows; ++r) {
      std::size_t const id = static_cast<std::size_t>(ids[r]) - mine.first;
      if (id < mine.count)
        kernels::embedding_gradient_row(lanes{}, dtable + id * width, dy + r * width, factor, width);
    }
  }

  /// y[s,t] = x[s,t] + table[t]; y may be x
  /// Shapes  y, x: [sequences, tokens, width], table: [at least tokens, width]
  template <class T>
  [[gnu::flatten]] MPX_KERNEL static void positions_forward(T* y, T const* x, T const* table, std::size_t sequences,
                                                            std::size_t tokens, std::size_t width) {
    for (std::size_t s = 0; s < sequences; ++s) {
      std::size_t const at = s * tokens * width;
      kernels::position_row(lanes{}, y + at, x + at, table, tokens * width);
    }
  }

  /// dtable[t] += sum_s dy[s,t]
  template <class T>
  [[gnu::flatten]] MPX_KERNEL static void positions_backward(A<T>* dtable, T const* dy, std::size_t sequences,
                                                             std::size_t tokens, std::size_t width) {
    for (std::size_t s = 0; s < sequences; ++s)
      kernels::add_to_sum(lanes{}, dtable, dy + s * tokens * width, tokens * width);
  }

  /// Shapes  table: [context, width]
  template <class T> MPX_KERNEL static void sinusoidal_table(T* table, std::size_t context, std::size_t width) {
    for (std::size_t t = 0; t < context; ++t)
      for (std::size_t c = 0; c < width; ++c)
        table[t * width + c] = T(static_cast<A<T>>(kernels::sinusoidal_position(t, c, width)));
  }

  /// Shapes  y, x: [rows, width]; mean, rstd: [rows]; weight, bias: [width]
  template <class T>
  [[gnu::flatten]] MPX_KERNEL static void layer_norm_forward(T* y, A<T>* mean, A<T>* rstd, T const* x, T const* weight,
                                                             T const* bias, std::size_t rows, std::size_t width) {
    for (std::size_t r = 0; r < rows; ++r)
      kernels::layer_norm_row(lanes{}, y + r * width, mean + r, rstd + r, x + r * width, weight, bias, width);
  }

  /// dx is written; dweight and dbias are added to. Both of them null, or dx: not asked for.
  template <class T>
  [[gnu::flatten]] MPX_KERNEL static void layer_norm_backward(T* dx, A<T>* dweight, A<T>* dbias, T const* dy,
                                                              T const* x, A<T> const* mean, A<T> const* rstd,
                                                              T const* weight, std::size_t rows, std::size_t width) {
    for (std::size_t r = 0; r < rows; ++r) {
      std::size_t const at = r * width;
      A<T> const m = mean[r], s = rstd[r];
      if (dx) kernels::layer_norm_gradient_row(lanes{}, dx + at, dy + at, x + at, m, s, weight, width);
      if (dweight) kernels::layer_norm_parameter_gradient_row(lanes{}, dweight, dbias, dy + at, x + at, m, s, width);
    }
  }

  /// Shapes  y, x: [rows, width]; rstd: [rows]; weight: [width]
  template <class T>
  [[gnu::flatten]] MPX_KERNEL static void rms_norm_forward(T* y, A<T>* rstd, T const* x, T const* weight,
                                                           std::size_t rows, std::size_t width) {
    for (std::size_t r = 0; r < rows; ++r)
      kernels::rms_norm_row(lanes{}, y + r * width, rstd + r, x + r * width, weight, width);
  }

  /// dx is written; dweight is added to. Null: not asked for.
  template <class T>
  [[gnu::flatten]] MPX_KERNEL static void rms_norm_backward(T* dx, A<T>* dweight, T const* dy, T const* x,
                                                            A<T> const* rstd, T const* weight, std::size_t rows,
                                                            std::size_t width) {
    for (std::size_t r = 0; r < rows; ++r) {
      std::size_t const at = r * width;
      A<T> const s = rstd[r];
      if (dx) kernels::rms_norm_gradient_row(lanes{}, dx + at, dy + at, x + at, s, weight, width);
      if (dweight) kernels::rms_norm_parameter_gradient_row(lanes{}, dweight, dy + at, x + at, s, width);
    }
  }

  /// y[i] = f(x[i]), Function in relu, gelu, gelu_tanh, silu
  template <class Function, class T>
  [[gnu::flatten]] MPX_KERNEL static void activation_forward(T* y, T const* x, std::size_t n) {
    kernels::activate<Function>(lanes{}, y, x, n);
  }

  /// dx[i] = f'(x[i]) dy[i]
  template <class Function, class T>
  [[gnu::flatten]] MPX_KERNEL static void activation_backward(T* dx, T const* dy, T const* x, std::size_t n) {
    kernels::activation_gradient<Function>(lanes{}, dx, dy, x, n);
  }

  /// y[r,i] = f(x[r,i]) x[r,width+i], Function as above
  /// Shapes  y: [rows, width], x: [rows, 2 width]
  template <class Function, class T>
  [[gnu::flatten]] MPX_KERNEL static void gated_forward(T* y, T const* x, std::size_t rows, std::size_t width) {
    for (std::size_t r = 0; r < rows; ++r)
      kernels::gated_row<Function>(lanes{}, y + r * width, x + 2 * r * width, x + (2 * r + 1) * width, width);
  }

  /// Shapes  dx, x: [rows, 2 width], dy: [rows, width]
  template <class Function, class T>
  [[gnu::flatten]] MPX_KERNEL static void gated_backward(T* dx, T const* dy, T const* x, std::size_t rows,
                                                         std::size_t width) {
    for (std::size_t r = 0; r < rows; ++r) {
      std::size_t const gate = 2 * r * width, value = gate + width;
      kernels::gated_gradient_row<Function>(lanes{}, dx + gate, dx + value, dy + r * width, x + gate, x + value, width);
    }
  }

  /// Turns x in place. Sines and cosines go from token to token by the sum formulas, in f64: after 10^4 tokens they are
  /// still within 10^-11.
  /// Shapes  as rotary_shape says; heads have at most 256 columns
  template <class T> [[gnu::flatten]] MPX_KERNEL static void rotary(rotary_shape const& s, T* x) {
    constexpr std::size_t most = most_head_width / 2;
    std::size_t const pairs = s.head_width / 2;
    double cosine[most], sine[most], step_cosine[most], step_sine[most];
    A<T> c[most], d[most];
    for (std::size_t i = 0; i < pairs; ++i) {
      double const angle = (s.back ? -1 : 1) * kernels::rotary_frequency(i, s.head_width, s.base);
      step_cosine[i] = std::cos(angle);
      step_sine[i] = std::sin(angle);
      cosine[i] = 1;
      sine[i] = 0;
    }
    for (std::size_t t = 0; t < s.tokens; ++t) {
      for (std::size_t i = 0; i < pairs; ++i) {
        c[i] = static_cast<A<T>>(cosine[i]);
        d[i] = static_cast<A<T>>(sine[i]);
        double const next = cosine[i] * step_cosine[i] - sine[i] * step_sine[i];
        sine[i] = sine[i] * step_cosine[i] + cosine[i] * step_sine[i];
        cosine[i] = next;
      }
      for (std::size_t b = 0; b < s.sequences; ++b)
        for (std::size_t h = 0; h < s.heads; ++h)
          kernels::rotate_pairs(lanes{}, x + (b * s.tokens + t) * s.stride + h * s.head_width, c, d, pairs);
    }
  }

  /// Forward and backward alike; y may be x. A rate of 0 copies.
  /// Shapes  y, x: [sequences, tokens, width]
  template <class T>
  static void dropout(T* y, T const* x, dropout_draw draw, std::size_t sequences, std::size_t tokens, std::size_t width) {
    if (draw.rate != 0.0f) drop<kernels::unchanged>(y, x, draw, sequences, tokens, width);
    else if (y != x) copy(y, x, sequences * tokens * width * sizeof(T));
  }
  /// The dropout of a relu, in one pass; y may be x.
  template <class T>
  static void relu_dropout(T* y, T const* x, dropout_draw draw, std::size_t sequences, std::size_t tokens, std::size_t width) {
    if (draw.rate != 0.0f) drop<kernels::activation_formula<relu>>(y, x, draw, sequences, tokens, width);
    else activation_forward<relu>(y, x, sequences * tokens * width);
  }
  /// dx[i] = y[i] > 0 ? factor dy[i] : 0
  template <class T>
  [[gnu::flatten]] MPX_KERNEL static void relu_dropout_backward(T* dx, T const* dy, T const* y, A<T> factor, std::size_t n) {
    kernels::relu_dropout_gradient(lanes{}, dx, dy, y, factor, n);
  }

  /// *loss = sum over rows with target >= 0; with_gradient overwrites the logits with gradient_scale * (p - q).
  /// Shapes  logits: [rows, vocabulary], targets: [rows]
  template <class T>
  [[gnu::flatten]] MPX_KERNEL static void cross_entropy(A<T>* loss, T* logits, std::int32_t const* targets,
                                                        std::size_t rows, std::size_t vocabulary, A<T> smoothing,
                                                        A<T> gradient_scale, bool with_gradient) {
    A<T> sum = 0;
    for (std::size_t r = 0; r < rows; ++r)
      sum += kernels::cross_entropy_row(lanes{}, logits + r * vocabulary, targets[r], vocabulary, smoothing,
                                        gradient_scale, with_gradient);
    *loss = sum;
  }

  /// high[r] = the largest of x[r]
  /// Shapes  x: [rows, width], high: [rows]
  template <class T>
  [[gnu::flatten]] MPX_KERNEL static void row_maxima(A<T>* high, T const* x, std::size_t rows, std::size_t width) {
    for (std::size_t r = 0; r < rows; ++r)
      high[r] = lanes{}.max(width, [at = x + r * width](std::size_t c) { return A<T>(at[c]); });
  }

  /// What a slice of the vocabulary contributes to the sums of each row.
  /// Shapes  sums: [3, rows], logits: [rows, mine.count], high: [rows], the largest logit of all slices
  template <class T>
  [[gnu::flatten]] MPX_KERNEL static void cross_entropy_sums(A<T>* sums, T const* logits, A<T> const* high,
                                                             std::int32_t const* targets, std::size_t rows,
                                                             id_slice mine, bool with_all) {
    for (std::size_t r = 0; r < rows; ++r) {
      auto const s = kernels::cross_entropy_sums_row(lanes{}, logits + r * mine.count, high[r], targets[r], mine,
                                                             with_all);
      sums[r] = s.total;
      sums[rows + r] = s.at_label;
      sums[2 * rows + r] = s.all;
    }
  }

  /// As cross_entropy, on a slice of the vocabulary, from the sums of all slices.
  template <class T>
  [[gnu::flatten]] MPX_KERNEL static void cross_entropy_slice(A<T>* loss, T* logits, A<T> const* high, A<T> const* sums,
                                                              std::int32_t const* targets, std::size_t rows,
                                                              std::size_t vocabulary, id_slice mine, A<T> smoothing,
                                                              A<T> gradient_scale, bool with_gradient) {
    A<T> sum = 0;
    for (std::size_t r = 0; r < rows; ++r) {
      kernels::cross_entropy_parts<A<T>> const parts{sums[r], sums[rows + r], sums[2 * rows + r]};
      sum += kernels::cross_entropy_slice_row(lanes{}, logits + r * mine.count, high[r], parts, targets[r], vocabulary,
                                              mine, smoothing, gradient_scale, with_gradient);
    }
    *loss = sum;
  }

  /// One step of the optimizer; each gradient is multiplied by `factor`, then passed through `bound`.
  /// Shapes  master, weights, gradient, each state: [n]; weights may be null or the master itself
  template <class Optimizer, class Constants, class T, class Sum, std::size_t States, std::invocable<Sum> Bound>
  [[gnu::flatten]] MPX_KERNEL static void update(Constants const& constants, Sum* master, T* weights,
                                                 Sum const* gradient, std::array<Sum*, States> state, std::size_t n,
                                                 std::type_identity_t<Sum> factor, Bound bound) {
    kernels::update<Optimizer>(lanes{}, constants, master, weights, gradient, state, n, factor, bound);
  }

 private:
  template <class Formula, class T>
  [[gnu::flatten]] MPX_KERNEL static void drop(T* y, T const* x, dropout_draw const& draw, std::size_t sequences,
                                               std::size_t tokens, std::size_t width) {
    for (std::size_t s = 0; s < sequences; ++s)
      for (std::size_t t = 0; t < tokens; ++t) {
        std::size_t const at = (s * tokens + t) * width;
        kernels::dropout_row<Formula>(lanes{}, y + at, x + at, draw, static_cast<std::uint32_t>(s),
                                      static_cast<std::uint32_t>(t), width);
      }
  }
};

}  // namespace mpx::on_host
