/// @file
/// Attention of a host device: blocks of queries against blocks of keys, so that no [tokens, tokens] matrix exists.
///
/// Sums run over keys (forward) and over queries (backward) in ascending order, for each element in the same order
/// whatever the block sizes of the registers: results depend on nothing but the operands. Where the machine multiplies pairs
/// of bf16 (host/tile.hpp), probabilities and the scores' gradients are rounded to bf16 before they are multiplied.
/// Source  Dao 2023, "FlashAttention-2", arXiv:2307.08691, algorithms 1 and 2;
///         Ainslie et al. 2023, arXiv:2305.13245 (heads that share keys and values)
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>

#include <mpx/backend/operations.hpp>
#include <mpx/config/config.hpp>
#include <mpx/core/dtype.hpp>
#include <mpx/core/error.hpp>
#include <mpx/core/extent.hpp>
#include <mpx/host/lanes.hpp>
#include <mpx/host/tile.hpp>
#include <mpx/kernels/elementwise.hpp>
#include <mpx/kernels/math.hpp>

namespace mpx::on_host {

namespace detail {

inline constexpr std::size_t key_block = 64;
inline constexpr std::size_t query_block = 64;
inline constexpr std::size_t backward_query_block = 32;

/// A score that no key has: its exponential is 0 in f32 and f64, and differences of two such stay finite.
inline constexpr float no_score = -1e30f;

inline void check_head_width(attention_shape const& s) {
  if (s.head_width > most_head_width) {
    throw error({.what = "head too wide",
                 .where = "attention on a host device",
                 .expected = "at most " + std::to_string(most_head_width),
                 .got = std::to_string(s.head_width)});
  }
}

[[nodiscard]] inline std::size_t allowed_keys(attention_shape const& s, std::int32_t const* lengths, std::size_t b) {
  std::size_t keys = s.key_tokens;
  if (lengths != nullptr) keys = std::min(keys, static_cast<std::size_t>(std::max(lengths[b], std::int32_t{0})));
  return s.causal ? std::min(keys, s.query_tokens) : keys;
}

/// From one row of a tile to the next, where its columns are the depth of a product.
template <class T>
[[nodiscard]] constexpr std::size_t depth_stride(std::size_t width) {
  return in_pairs<T> ? tile_depth<T>(width) : padded(width, tile_width);
}

/// tile[r, d] = from[r, d], 0 beyond the last row; columns will be the depth of a product.
/// Shapes  tile: [padded(rows, tile_height), depth_stride(width)], from: rows of `stride` elements
template <class T>
MPX_INLINE void load(tile_element<T>* tile, T const* from, std::size_t stride, std::size_t rows, std::size_t width) {
  std::size_t const wide = depth_stride<T>(width);
  for (std::size_t r = 0; r < rows; ++r) {
    T const* const row = from + r * stride;
    tile_element<T>* const to = tile + r * wide;
    if constexpr (in_pairs<T>) {
      to[wide - 1] = 0;
      std::memcpy(to, row, width * sizeof(T));
    } else {
      MPX_SIMD
      for (std::size_t d = 0; d < width; ++d) to[d] = static_cast<tile_element<T>>(row[d]);
      for (std::size_t d = width; d < wide; ++d) to[d] = 0;
    }
  }
  std::fill(tile + rows * wide, tile + padded(rows, tile_height) * wide, tile_element<T>(0));
}

/// Two rows in one, each pair of columns side by side, rounded to bf16.
/// Shapes  to: [tile_depth(rows), width] rows of `to_stride` pairs, from: [rows, width] rows of `stride` elements
template <class T>
MPX_INLINE void pair_rows(std::uint32_t* to, std::size_t to_stride, T const* from, std::size_t stride, std::size_t rows,
                          std::size_t width) {
  for (std::size_t r = 0; r < rows; r += 2) {
    T const *const low = from + r * stride, *const high = r + 1 < rows ? low + stride : low;
    std::uint32_t const kept = r + 1 < rows ? 0xffffffffu : 0xffffu;
    std::uint32_t* const pairs = to + r / 2 * to_stride;
    MPX_SIMD
    for (std::size_t x = 0; x < width; ++x) pairs[x] = pair_of(bf16(low[x]), bf16(high[x])) & kept;
  }
}

/// As load, for columns that stay columns: rows will be the depth of a product.
/// Shapes  tile: [tile_depth(rows), padded(width, tile_width)]
template <class T>
MPX_INLINE void load_by_rows(tile_element<T>* tile, T const* from, std::size_t stride, std::size_t rows, std::size_t width) {
  if constexpr (in_pairs<T>) {
    std::size_t const wide = padded(width, tile_width);
    pair_rows(tile, wide, from, stride, rows, width);
    for (std::size_t r = 0; r < tile_depth<T>(rows); ++r) std::fill(tile + r * wide + width, tile + (r + 1) * wide, 0u);
  } else {
    load(tile, from, stride, rows, width);
  }
}

/// tile[d, r] = from[r, d], 0 beyond the last row; d will be the depth of a product.
/// Shapes  tile: [tile_depth(width), padded(rows, tile_width)], from: rows of `stride` elements
template <class T>
MPX_INLINE void load_transposed(tile_element<T>* tile, T const* from, std::size_t stride, std::size_t rows, std::size_t width) {
  std::size_t const high = padded(rows, tile_width), wide = depth_stride<T>(width), depth = tile_depth<T>(width);
  tile_element<T> few[tile_width * most_head_width];
  for (std::size_t r0 = 0; r0 < high; r0 += tile_width) {
    std::size_t const some = r0 < rows ? std::min(tile_width, rows - r0) : 0;
    load(few, from + r0 * stride, stride, some, width);
    std::fill(few + padded(some, tile_height) * wide, few + tile_width * wide, tile_element<T>(0));
    for (std::size_t d = 0; d < depth; ++d)
      for (std::size_t r = 0; r < tile_width; ++r) tile[d * high + r0 + r] = few[r * wide + d];
  }
}

/// to[r, d] = T(factor * tile[r, d])
template <class T, class A = accumulator_t<T>>
MPX_INLINE void store(T* to, std::size_t stride, A const* tile, std::size_t tile_stride, std::size_t rows,
                      std::size_t width, A factor) {
  for (std::size_t r = 0; r < rows; ++r) {
    T* const row = to + r * stride;
    A const* const from = tile + r * tile_stride;
    lanes{}.each(width, [=](std::size_t d) { row[d] = T(factor * from[d]); });
  }
}

template <class A>
[[nodiscard]] A score_factor(attention_shape const& s) {
  return s.scaled ? A(1) / std::sqrt(static_cast<A>(s.head_width)) : A(1);
}

/// near[i] = bias(first + i * step, head), i < n: what a block of scores gains, by distance, and where it stands.
/// Shapes  near, at: [n]
template <class T, class A = accumulator_t<T>>
MPX_INLINE void load_bias(A* near, std::uint32_t* at, score_bias<T> const& bias, std::size_t heads, std::size_t head,
                          std::int64_t first, std::int64_t step, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    at[i] = static_cast<std::uint32_t>(bias.buckets(first + static_cast<std::int64_t>(i) * step) * heads + head);
    near[i] = static_cast<A>(bias.weight[at[i]]);
  }
}

template <class T>
MPX_INLINE void store_zeros(T* to, std::size_t stride, std::size_t rows, std::size_t width) {
  for (std::size_t r = 0; r < rows; ++r) std::fill(to + r * stride, to + r * stride + width, T(0.0f));
}

/// What one block of queries needs; queries are columns, so that softmax runs across vector lanes.
template <class T, class A = accumulator_t<T>, class E = tile_element<T>>
struct forward_tiles {
  alignas(64) E q[most_head_width * query_block];  ///< [D, queries]
  alignas(64) E k[key_block * most_head_width];    ///< [keys, D]
  alignas(64) E v[key_block * most_head_width];    ///< [keys, D]
  alignas(64) A p[key_block * query_block];        ///< [keys, queries]: scores, then their exponentials
  alignas(64) E p_pairs[in_pairs<T> ? key_block / 2 * query_block : 1];  ///< the exponentials, keys in pairs
  alignas(64) A o[query_block * most_head_width];  ///< [queries, D]: sum of p v so far
  alignas(64) A largest[query_block];              ///< score so far
  alignas(64) A sum[query_block];                  ///< of exponentials so far
  alignas(64) A shrink[query_block];               ///< what a larger score makes of earlier exponentials
  alignas(64) A near[key_block + query_block];     ///< bias by distance, of the last key to the first query first
  std::uint32_t near_at[key_block + query_block];  ///< where in the bias's weights
};

/// score *= scale, before anything else is computed from it: forward and backward then take exponentials of the same bits.
/// Shapes  scores: [n]
template <class A>
MPX_INLINE void scale_scores(A* scores, std::size_t n, A scale) {
  MPX_SIMD
  for (std::size_t i = 0; i < n; ++i) scores[i] *= scale;
}

/// p = exp(score - largest), and what `largest` and `sum` become with this block of keys
/// Shapes  t.p: [keys, width]
template <class T, class A = accumulator_t<T>>
MPX_KERNEL void online_softmax(forward_tiles<T>& t, std::size_t keys, std::size_t width) {
  for (std::size_t x0 = 0; x0 < width; x0 += tile_width) {
    A largest[tile_width], sum[tile_width];
    MPX_SIMD
    for (std::size_t x = 0; x < tile_width; ++x) largest[x] = t.largest[x0 + x];
    for (std::size_t j = 0; j < keys; ++j) {
      A const* const p = t.p + j * width + x0;
      MPX_SIMD
      for (std::size_t x = 0; x < tile_width; ++x) largest[x] = p[x] > largest[x] ? p[x] : largest[x];
    }
    MPX_SIMD
    for (std::size_t x = 0; x < tile_width; ++x) {
      A const shrink = kernels::exp(t.largest[x0 + x] - largest[x]);
      t.shrink[x0 + x] = shrink;
      t.largest[x0 + x] = largest[x];
      sum[x] = t.sum[x0 + x] * shrink;
    }
    for (std::size_t j = 0; j < keys; ++j) {
      A* const p = t.p + j * width + x0;
      MPX_SIMD
      for (std::size_t x = 0; x < tile_width; ++x) {
        A const e = kernels::exp(p[x] - largest[x]);
        p[x] = e;
        sum[x] += e;
      }
    }
    MPX_SIMD
    for (std::size_t x = 0; x < tile_width; ++x) t.sum[x0 + x] = sum[x];
  }
  if constexpr (in_pairs<T>) pair_rows(t.p_pairs, width, t.p, width, keys, width);
}

}  // namespace detail

/// o = softmax(q k^T / sqrt(D) + bias) v; lse = log of the sum of exponentials, which the backward starts from.
/// Shapes  q: [sequences, query_tokens] rows of query_stride, k, v: [sequences, key_tokens] rows of key_stride,
///         o: [sequences, query_tokens, heads*D], lse: [sequences, query_tokens, heads], lengths: [sequences] or none
/// Types   q, k, v, o: T; lse and everything in between: A
/// Errors  throws mpx::error when D is above most_head_width
/// A query without any allowed key gives o = 0 and lse = 0.
template <class T, class A = accumulator_t<T>>
MPX_KERNEL void attention_forward(attention_shape const& s, T* o, A* lse, T const* q, T const* k, T const* v,
                                  std::int32_t const* lengths,
                                  score_bias<std::type_identity_t<T>> const& bias = {}) {
  using namespace detail;
  check_head_width(s);
  std::size_t const width = s.head_width, wide = padded(width, tile_width);
  std::size_t const o_stride = s.heads * width;
  A const scale = score_factor<A>(s);
  using E = tile_element<T>;
  forward_tiles<T> t;
  E const* p = t.p_pairs;
  if constexpr (!in_pairs<T>) p = t.p;

  for (std::size_t b = 0; b < s.sequences; ++b) {
    std::size_t const allowed = allowed_keys(s, lengths, b);
    for (std::size_t h = 0; h < s.heads; ++h)
      for (std::size_t q0 = 0; q0 < s.query_tokens; q0 += query_block) {
        std::size_t const rows = std::min(query_block, s.query_tokens - q0);
        std::size_t const first_row = b * s.query_tokens + q0;
        T* const o_block = o + first_row * o_stride + h * width;
        A* const lse_block = lse + first_row * s.heads + h;
        std::size_t const limit = s.causal ? std::min(allowed, q0 + rows) : allowed;
        if (limit == 0) {
          store_zeros(o_block, o_stride, rows, width);
          for (std::size_t i = 0; i < rows; ++i) lse_block[i * s.heads] = A(0);
          continue;
        }
        std::size_t const high = padded(rows, tile_width);
        load_transposed(t.q, q + first_row * s.query_stride + h * width, s.query_stride, rows, width);
        std::fill(t.largest, t.largest + high, A(no_score));
        std::fill(t.sum, t.sum + high, A(0));

        for (std::size_t k0 = 0; k0 < limit; k0 += key_block) {
          std::size_t const keys = std::min(key_block, limit - k0);
          std::size_t const from = (b * s.key_tokens + k0) * s.key_stride + h / s.group() * width;
          load(t.k, k + from, s.key_stride, keys, width);
          load_by_rows(t.v, v + from, s.key_stride, keys, width);
          tile_multiply<A, E>(t.p, high, {t.k, depth_stride<T>(width), 1}, {t.q, high, 1}, padded(keys, tile_height), high,
                              tile_depth<T>(width), false);
          scale_scores(t.p, keys * high, scale);
          if (bias.weight != nullptr) {
            std::int64_t const farthest = static_cast<std::int64_t>(k0 + keys - 1) - static_cast<std::int64_t>(q0);
            load_bias(t.near, t.near_at, bias, s.heads, h, farthest, -1, keys - 1 + high);
            for (std::size_t j = 0; j < keys; ++j) {
              A* const score = t.p + j * high;
              A const* const near = t.near + (keys - 1 - j);
              MPX_SIMD
              for (std::size_t x = 0; x < high; ++x) score[x] += near[x];
            }
          }
          if (s.causal)
            for (std::size_t j = q0 < k0 ? 0 : q0 - k0 + 1; j < keys; ++j)  // queries before key k0 + j
              std::fill(t.p + j * high, t.p + j * high + std::min(k0 + j - q0, high), A(no_score));
          online_softmax(t, keys, high);
          if (k0 > 0)
            for (std::size_t i = 0; i < high; ++i) {
              A* const row = t.o + i * wide;
              A const shrink = t.shrink[i];
              MPX_SIMD
              for (std::size_t d = 0; d < wide; ++d) row[d] *= shrink;
            }
          tile_multiply<A, E>(t.o, wide, {p, 1, high}, {t.v, wide, 1}, high, wide, tile_depth<T>(keys), k0 > 0);
        }

        for (std::size_t i = 0; i < rows; ++i) {
          store(o_block + i * o_stride, o_stride, t.o + i * wide, wide, 1, width, A(1) / t.sum[i]);
          lse_block[i * s.heads] = t.largest[i] + std::log(t.sum[i]);
        }
      }
  }
}

namespace detail {

/// What one block of keys needs; keys are columns where they meet queries. A tile is there twice where it is an operand
/// whose rows are the depth of a product, and one whose columns are: without pairs those are the same.
template <class T, class A = accumulator_t<T>, class E = tile_element<T>>
struct backward_tiles {
  static constexpr std::size_t twice = in_pairs<T> ? 1 : 0;
  alignas(64) E k[key_block * most_head_width];               ///< [keys, D]
  alignas(64) E k_transposed[most_head_width * key_block];    ///< [D, keys]
  alignas(64) E v_transposed[most_head_width * key_block];    ///< [D, keys]
  alignas(64) A dk[key_block * most_head_width];              ///< [keys, D], before the scale
  alignas(64) A dv[key_block * most_head_width];              ///< [keys, D]
  alignas(64) E q[backward_query_block * most_head_width];    ///< [queries, D]
  alignas(64) E d_o[backward_query_block * most_head_width];  ///< [queries, D]
  alignas(64) A dq[backward_query_block * most_head_width];   ///< [queries, D], before the scale
  alignas(64) A p[backward_query_block * key_block];          ///< [queries, keys]
  alignas(64) A ds[backward_query_block * key_block];         ///< [queries, keys]: first of p, then of the scores
  alignas(64) E q_by_rows[1 + twice * backward_query_block * most_head_width];
  alignas(64) E d_o_by_rows[1 + twice * backward_query_block * most_head_width];
  alignas(64) E p_by_rows[1 + twice * backward_query_block * key_block];
  alignas(64) E ds_by_rows[1 + twice * backward_query_block * key_block];
  alignas(64) E ds_by_columns[1 + twice * backward_query_block * key_block];
  alignas(64) A near[backward_query_block + key_block];       ///< bias by distance, of first key to last query first
  alignas(64) A d_near[backward_query_block + key_block];     ///< its gradient
  std::uint32_t near_at[backward_query_block + key_block];    ///< where in the bias's weights
};

/// d_bias gains the scores' gradients, by distance. Queries are added in ascending order, and then distances.
/// Shapes  t.ds: [rows, high], t.d_near: [rows - 1 + keys]
template <class T, class A = accumulator_t<T>>
MPX_INLINE void add_bias_gradient(A* d_bias, backward_tiles<T>& t, std::size_t rows, std::size_t keys, std::size_t high) {
  std::size_t const n = rows - 1 + keys;
  std::fill(t.d_near, t.d_near + n, A(0));
  for (std::size_t i = 0; i < rows; ++i) {
    A* const near = t.d_near + (rows - 1 - i);
    A const* const ds = t.ds + i * high;
    MPX_SIMD
    for (std::size_t x = 0; x < keys; ++x) near[x] += ds[x];
  }
  for (std::size_t i = 0; i < n; ++i) d_bias[t.near_at[i]] += t.d_near[i];
}

/// p = exp(score - lse), ds = p (dp - delta), for one row of queries; 0 for keys beyond `seen`
/// Shapes  p, ds: [high]
template <class A>
MPX_INLINE void softmax_backward(A* p, A* ds, std::size_t seen, std::size_t high, A lse, A delta) {
  for (std::size_t x0 = 0; x0 < high; x0 += tile_width) {
    auto const left = static_cast<std::int32_t>(seen) - static_cast<std::int32_t>(x0);
    MPX_SIMD
    for (std::size_t x = 0; x < tile_width; ++x) {
      A const e = kernels::exp(p[x0 + x] - lse);
      A const de = e * (ds[x0 + x] - delta);
      p[x0 + x] = static_cast<std::int32_t>(x) < left ? e : A(0);
      ds[x0 + x] = static_cast<std::int32_t>(x) < left ? de : A(0);
    }
  }
}

}  // namespace detail

/// dq, dk, dv from d_o, with p recomputed from lse.
///   dv = p^T d_o, ds = p (d_o v^T - delta), dq = ds k / sqrt(D), dk = ds^T q / sqrt(D), delta = sum of d_o o
/// dk and dv of a head that several of q share are summed over those in their order. Where there is a bias, d_bias of a
/// bucket gains the sum of its ds: sequences, blocks of keys, blocks of queries in order.
/// Shapes  dq as q, dk and dv as k, d_o as o; delta: as lse; dq_sum: [sequences, query_tokens, heads*D]; d_bias as bias
/// Types   dq_sum, delta: A, scratch; d_bias: A; the rest as in the forward
/// Errors  throws mpx::error when D is above most_head_width
template <class T, class A = accumulator_t<T>>
MPX_KERNEL void attention_backward(attention_shape const& s, T* dq, T* dk, T* dv, A* dq_sum, A* delta, T const* d_o,
                                   T const* o, A const* lse, T const* q, T const* k, T const* v,
                                   std::int32_t const* lengths, score_bias<std::type_identity_t<T>> const& bias = {},
                                   A* d_bias = nullptr) {
  using namespace detail;
  check_head_width(s);
  std::size_t const width = s.head_width, wide = padded(width, tile_width);
  std::size_t const o_stride = s.heads * width;
  A const scale = score_factor<A>(s);
  using E = tile_element<T>;
  constexpr bool pairs = in_pairs<T>;
  std::size_t const depth = tile_depth<T>(width), deep = depth_stride<T>(width);
  backward_tiles<T> t;
  E const *q_rows = t.q_by_rows, *d_o_rows = t.d_o_by_rows, *p_rows = t.p_by_rows, *ds_rows = t.ds_by_rows,
          *ds_columns = t.ds_by_columns;
  if constexpr (!pairs) q_rows = t.q, d_o_rows = t.d_o, p_rows = t.p, ds_rows = ds_columns = t.ds;

  for (std::size_t b = 0; b < s.sequences; ++b) {
    std::size_t const allowed = allowed_keys(s, lengths, b), q_first = b * s.query_tokens;
    for (std::size_t h0 = 0; h0 < s.heads; h0 += s.group()) {
      std::size_t const h_end = h0 + s.group();  // heads h0 to h_end of q share one of k and v
      std::size_t const to_key = b * s.key_tokens * s.key_stride + h0 / s.group() * width;

      for (std::size_t i = 0; i < s.query_tokens; ++i)
        for (std::size_t h = h0; h < h_end; ++h) {
          T const* const left = d_o + (q_first + i) * o_stride + h * width;
          T const* const right = o + (q_first + i) * o_stride + h * width;
          delta[(q_first + i) * s.heads + h] =
              lanes{}.sum(width, [=](std::size_t d) { return static_cast<A>(left[d]) * static_cast<A>(right[d]); });
        }

      for (std::size_t k0 = 0; k0 < allowed; k0 += key_block) {
        std::size_t const keys = std::min(key_block, allowed - k0);
        std::size_t const high = padded(keys, tile_width), tall = padded(keys, tile_height);
        std::size_t const from = to_key + k0 * s.key_stride;
        load_by_rows(t.k, k + from, s.key_stride, keys, width);
        load_transposed(t.k_transposed, k + from, s.key_stride, keys, width);
        load_transposed(t.v_transposed, v + from, s.key_stride, keys, width);

        std::size_t const first = s.causal ? k0 : 0;
        for (std::size_t h = h0; h < h_end; ++h)
          for (std::size_t q0 = first; q0 < s.query_tokens; q0 += backward_query_block) {
            std::size_t const rows = std::min(backward_query_block, s.query_tokens - q0);
            std::size_t const padded_rows = padded(rows, tile_height), first_row = q_first + q0;
            T const* const q_from = q + first_row * s.query_stride + h * width;
            T const* const d_o_from = d_o + first_row * o_stride + h * width;
            load(t.q, q_from, s.query_stride, rows, width);
            load(t.d_o, d_o_from, o_stride, rows, width);
            tile_multiply<A, E>(t.p, high, {t.q, deep, 1}, {t.k_transposed, high, 1}, padded_rows, high, depth, false);
            tile_multiply<A, E>(t.ds, high, {t.d_o, deep, 1}, {t.v_transposed, high, 1}, padded_rows, high, depth, false);
            scale_scores(t.p, rows * high, scale);
            // of the block's first key to its last query
            std::int64_t const nearest = static_cast<std::int64_t>(k0) - static_cast<std::int64_t>(q0 + rows - 1);
            if (bias.weight != nullptr) {
              load_bias(t.near, t.near_at, bias, s.heads, h, nearest, 1, rows - 1 + high);
              for (std::size_t i = 0; i < rows; ++i) {
                A* const score = t.p + i * high;
                A const* const near = t.near + (rows - 1 - i);
                MPX_SIMD
                for (std::size_t x = 0; x < high; ++x) score[x] += near[x];
              }
            }
            for (std::size_t i = 0; i < rows; ++i) {
              std::size_t const seen = s.causal ? std::min(keys, q0 + i + 1 - k0) : keys;
              std::size_t const at = (first_row + i) * s.heads + h;
              softmax_backward(t.p + i * high, t.ds + i * high, seen, high, lse[at], delta[at]);
            }
            if (bias.weight != nullptr) add_bias_gradient(d_bias, t, rows, keys, high);
            if constexpr (pairs) {
              load_by_rows(t.q_by_rows, q_from, s.query_stride, rows, width);
              load_by_rows(t.d_o_by_rows, d_o_from, o_stride, rows, width);
              pair_rows(t.p_by_rows, high, t.p, high, rows, high);
              pair_rows(t.ds_by_rows, high, t.ds, high, rows, high);
              T narrow[backward_query_block * key_block];
              kernels::cast(lanes{}, narrow, t.ds, rows * high);
              std::memcpy(t.ds_by_columns, narrow, rows * high * sizeof(T));
            }
            bool const more = h > h0 || q0 > first;
            tile_multiply<A, E>(t.dv, wide, {p_rows, 1, high}, {d_o_rows, wide, 1}, tall, wide, tile_depth<T>(rows), more);
            tile_multiply<A, E>(t.dk, wide, {ds_rows, 1, high}, {q_rows, wide, 1}, tall, wide, tile_depth<T>(rows), more);
            tile_multiply<A, E>(t.dq, wide, {ds_columns, tile_depth<T>(high), 1}, {t.k, wide, 1}, padded_rows, wide,
                                tile_depth<T>(keys), false);
            for (std::size_t i = 0; i < rows; ++i) {
              A* const sum = dq_sum + (first_row + i) * o_stride + h * width;
              A const* const part = t.dq + i * wide;
              MPX_SIMD
              for (std::size_t d = 0; d < width; ++d) sum[d] = k0 == 0 ? part[d] : sum[d] + part[d];
            }
          }
        store(dk + from, s.key_stride, t.dk, wide, keys, width, scale);
        store(dv + from, s.key_stride, t.dv, wide, keys, width, A(1));
      }
      store_zeros(dk + to_key + allowed * s.key_stride, s.key_stride, s.key_tokens - allowed, width);
      store_zeros(dv + to_key + allowed * s.key_stride, s.key_stride, s.key_tokens - allowed, width);
      for (std::size_t h = h0; h < h_end; ++h) {
        T* const dq_head = dq + q_first * s.query_stride + h * width;
        A const* const sum = dq_sum + q_first * o_stride + h * width;
        if (allowed > 0) store(dq_head, s.query_stride, sum, o_stride, s.query_tokens, width, scale);
        else store_zeros(dq_head, s.query_stride, s.query_tokens, width);
      }
    }
  }
}

}  // namespace mpx::on_host
