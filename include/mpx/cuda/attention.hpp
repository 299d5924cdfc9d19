/// @file
/// Bodies of attention: tiles of queries against tiles of keys in shared memory, so that no [tokens, tokens] matrix exists.
///
/// The backward has two bodies: one block for each tile of keys adds over queries, one for each tile of queries adds over
/// keys. No two blocks write to one place, and each sum is taken in ascending order: results repeat bit by bit.
/// Types   T in {float, bf16, f16}; everything in tiles is float
/// Source  Dao 2023, "FlashAttention-2", arXiv:2307.08691, algorithms 1 and 2
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include <mpx/backend/operations.hpp>
#include <mpx/config/config.hpp>
#include <mpx/core/dtype.hpp>
#include <mpx/cuda/block.hpp>
#include <mpx/kernels/math.hpp>

namespace mpx::on_cuda {

namespace detail {

/// A score that no key has: its exponential is 0, and differences of two such stay finite.
inline constexpr float no_score = -1e30f;

/// Queries or keys of a tile.
[[nodiscard]] MPX_HOST_DEVICE constexpr std::size_t tile_tokens(std::size_t head_width) {
  return head_width <= 64 ? 32 : head_width <= 128 ? 16 : 8;
}

/// A matrix in shared memory, read with any strides.
struct tile {
  float* at;
  std::size_t row, column;

  [[nodiscard]] MPX_HOST_DEVICE MPX_INLINE float& operator()(std::size_t r, std::size_t c) const {
    return at[r * row + c * column];
  }
  [[nodiscard]] MPX_HOST_DEVICE MPX_INLINE tile transposed() const { return {at, column, row}; }
};

/// give(r, c, sum over k of a(r,k) b(k,c)), k ascending: one thread for four rows of one column
/// Shapes  a: [rows, depth], b: [depth, columns], rows a multiple of 4
template <class Block, class Give>
MPX_HOST_DEVICE MPX_INLINE void multiply_tiles(Block const& block, tile const& a, tile const& b, std::size_t rows,
                                               std::size_t columns, std::size_t depth, Give give) {
  // Numbers of 32 bits: a GPU divides them several times as fast as those of 64.
  auto const wide = static_cast<unsigned>(columns), items = static_cast<unsigned>(rows / 4 * columns);
  for (unsigned item = block.thread(); item < items; item += block.threads()) {
    unsigned const c = item % wide, r = item / wide * 4;
    float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (std::size_t k = 0; k < depth; ++k) {
      float const of_b = b(k, c);
      s0 += a(r, k) * of_b;
      s1 += a(r + 1, k) * of_b;
      s2 += a(r + 2, k) * of_b;
      s3 += a(r + 3, k) * of_b;
    }
    give(r, c, s0);
    give(r + 1, c, s1);
    give(r + 2, c, s2);
    give(r + 3, c, s3);
  }
}

/// to(r, d) = factor * from[r, d], 0 beyond the last row
/// Shapes  to: [tokens, width], from: rows of `stride` elements
template <class Block, class T>
MPX_HOST_DEVICE MPX_INLINE void load_tile(Block const& block, tile const& to, T const* from, std::size_t stride,
                                          std::size_t rows, std::size_t tokens, std::size_t width, float factor) {
  auto const wide = static_cast<unsigned>(width), elements = static_cast<unsigned>(tokens * width);
  for (unsigned i = block.thread(); i < elements; i += block.threads()) {
    unsigned const r = i / wide, d = i % wide;
    to(r, d) = r < rows ? factor * static_cast<float>(from[r * stride + d]) : 0.0f;
  }
}

template <class Block>
MPX_HOST_DEVICE MPX_INLINE void clear(Block const& block, float* at, std::size_t n) {
  for (std::size_t i = block.thread(); i < n; i += block.threads()) at[i] = 0.0f;
}

/// to[r, d] = T(factor(r) * from(r, d))
template <class Block, class T, class Factor>
MPX_HOST_DEVICE MPX_INLINE void store_tile(Block const& block, T* to, std::size_t stride, tile const& from,
                                           std::size_t rows, std::size_t width, Factor factor) {
  auto const wide = static_cast<unsigned>(width), elements = static_cast<unsigned>(rows * width);
  for (unsigned i = block.thread(); i < elements; i += block.threads()) {
    unsigned const r = i / wide, d = i % wide;
    to[r * stride + d] = T(factor(r) * from(r, d));
  }
}

/// Which tile of which head of which sequence a block works on, and what every tile of it shares.
struct attention_place {
  std::size_t sequence, head, key_head, tokens, width, first, rows, allowed;
  float factor;  ///< of the scores

  /// Tiles of `all` tokens: of the queries, for each of their heads, or of the keys, for each of theirs.
  MPX_HOST_DEVICE attention_place(attention_shape const& s, std::int32_t const* lengths, std::size_t block,
                                  std::size_t all, std::size_t tokens_of_tile, bool of_keys = false)
      : tokens(tokens_of_tile), width(s.head_width) {
    auto const group = static_cast<unsigned>(s.group()), all_heads = static_cast<unsigned>(s.heads);
    unsigned const heads = of_keys ? all_heads / group : all_heads, of_each = of_keys ? group : 1;
    auto const tiles = static_cast<unsigned>(runs_of(all, tokens)), place = static_cast<unsigned>(block);
    sequence = place / tiles / heads;
    key_head = of_keys ? place / tiles % heads : place / tiles % heads / group;
    head = place / tiles % heads * of_each;
    first = place % tiles * tokens;
    rows = all - first < tokens ? all - first : tokens;
    allowed = s.key_tokens;
    if (lengths != nullptr) {
      std::size_t const valid = lengths[sequence] > 0 ? static_cast<std::size_t>(lengths[sequence]) : 0;
      allowed = valid < allowed ? valid : allowed;
    }
    if (s.causal && s.query_tokens < allowed) allowed = s.query_tokens;
    factor = s.scaled ? 1.0f / std::sqrt(static_cast<float>(width)) : 1.0f;
  }
  /// Keys that the tile's last query sees.
  [[nodiscard]] MPX_HOST_DEVICE std::size_t keys_of_queries(bool causal) const {
    return causal && first + rows < allowed ? first + rows : allowed;
  }
};

/// The block's shared memory, given out piece by piece.
class tile_memory {
 public:
  explicit MPX_HOST_DEVICE tile_memory(std::byte* begin) : next_(reinterpret_cast<float*>(begin)) {}

  MPX_HOST_DEVICE float* take(std::size_t n) {
    float* const at = next_;
    next_ += n;
    return at;
  }
  /// Rows lie one element further apart than they must, so that threads of a warp which read a column meet no bank twice.
  MPX_HOST_DEVICE tile take(std::size_t rows, std::size_t columns) { return {take(rows * (columns + 1)), columns + 1, 1}; }

 private:
  float* next_;
};

/// Floats of `wide` tiles of tokens, `square` tiles of scores and `rows` numbers for each token.
[[nodiscard]] constexpr std::size_t tile_bytes(std::size_t head_width, std::size_t wide, std::size_t square,
                                               std::size_t rows) {
  std::size_t const n = tile_tokens(head_width);
  return (wide * n * (head_width + 1) + square * n * (n + 1) + rows * n) * sizeof(float);
}

inline constexpr unsigned most_attention_threads = 256;
[[nodiscard]] constexpr unsigned attention_threads(std::size_t head_width) {
  return head_width <= 64 ? most_attention_threads : 128;
}

/// near[i] = factor * the bias of a key that stands i - (queries - 1) + first_key - first_query behind its query
/// Shapes  near, bucket (or null): [queries + keys - 1]
template <class Block, class T>
MPX_HOST_DEVICE MPX_INLINE void load_bias(Block const& block, float* near, float* bucket, score_bias<T> const& bias,
                                          attention_shape const& s, std::size_t head, std::size_t queries, std::size_t keys,
                                          std::size_t first_query, std::size_t first_key, float factor = 1.0f) {
  if (bias.weight == nullptr) return;
  for (std::size_t i = block.thread(); i < queries + keys - 1; i += block.threads()) {
    std::size_t const b = bias.buckets(static_cast<std::int64_t>(i + first_key) -
                                       static_cast<std::int64_t>(queries - 1 + first_query));
    near[i] = factor * static_cast<float>(bias.weight[b * s.heads + head]);
    if (bucket != nullptr) bucket[i] = static_cast<float>(b);
  }
}

/// share[u] += the sum of ds over distances of bucket u, distances in ascending order. What ds holds is seen by all threads.
/// A bucket's distances lie side by side: the thread of the first one adds them up.
/// Shapes  share: [buckets], by_distance, bucket: [queries + keys - 1], ds: [queries, keys]
template <class Block>
MPX_HOST_DEVICE MPX_INLINE void add_by_bucket(Block const& block, float* share, float* by_distance, float const* bucket,
                                              tile const& ds, std::size_t queries, std::size_t keys) {
  std::size_t const distances = queries + keys - 1;
  for (std::size_t i = block.thread(); i < distances; i += block.threads()) {
    float sum = 0.0f;  // of ds(r, r + i - (queries - 1))
    MPX_UNROLL_BY(8)
    for (std::size_t r = i < queries ? queries - 1 - i : 0; r < queries && r + i < distances; ++r)
      sum += ds(r, r + i - (queries - 1));
    by_distance[i] = sum;
  }
  block.wait();
  for (std::size_t i = block.thread(); i < distances; i += block.threads()) {
    if (i > 0 && bucket[i - 1] == bucket[i]) continue;
    float& all = share[static_cast<unsigned>(bucket[i])];
    float sum = all;
    for (std::size_t same = i; same < distances && bucket[same] == bucket[i]; ++same) sum += by_distance[same];
    all = sum;
  }
}

}  // namespace detail

/// o = softmax(q k^T / sqrt(D) + bias) v; lse = log of the sum of exponentials, which the backward starts from.
/// Shapes  q: [sequences, query_tokens] rows of query_stride, k, v: [sequences, key_tokens] rows of key_stride,
///         o: [sequences, query_tokens, heads*D], lse: [sequences, query_tokens, heads], lengths: [sequences] or none
/// Launch  one block for each sequence, head and tile of queries
/// A query without any allowed key gives o = 0 and lse = 0.
template <class T>
struct attention_forward {
  attention_shape s;
  T* o;
  float* lse;
  T const *q, *k, *v;
  std::int32_t const* lengths;
  score_bias<T> bias;

  static constexpr unsigned most_threads = detail::most_attention_threads;
  [[nodiscard]] launch_size size() const {
    return {s.sequences * s.heads * runs_of(s.query_tokens, detail::tile_tokens(s.head_width)),
            detail::attention_threads(s.head_width), detail::tile_bytes(s.head_width, 4, 1, 5)};
  }

  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    detail::attention_place const at(s, lengths, block.index(), s.query_tokens, detail::tile_tokens(s.head_width));
    std::size_t const n = at.tokens, width = at.width, stride = s.heads * width;
    std::size_t const first_row = at.sequence * s.query_tokens + at.first;
    T* const to = o + first_row * stride + at.head * width;
    float* const to_lse = lse + first_row * s.heads + at.head;
    std::size_t const limit = at.keys_of_queries(s.causal);

    detail::tile_memory memory(block.shared());
    auto const query = memory.take(n, width), key = memory.take(n, width), value = memory.take(n, width);
    auto const sum = memory.take(n, width), p = memory.take(n, n);
    float *const largest = memory.take(n), *const total = memory.take(n), *const shrink = memory.take(n);
    float* const near = memory.take(2 * n);

    detail::load_tile(block, query, q + first_row * s.query_stride + at.head * width, s.query_stride, at.rows, n, width,
                      at.factor);
    detail::clear(block, sum.at, n * (width + 1));
    for (std::size_t r = block.thread(); r < n; r += block.threads()) {
      largest[r] = detail::no_score;
      total[r] = 0.0f;
    }
    for (std::size_t k0 = 0; k0 < limit; k0 += n) {
      std::size_t const keys = limit - k0 < n ? limit - k0 : n;
      std::size_t const from = (at.sequence * s.key_tokens + k0) * s.key_stride + at.key_head * width;
      block.wait();
      detail::load_tile(block, key, k + from, s.key_stride, keys, n, width, 1.0f);
      detail::load_tile(block, value, v + from, s.key_stride, keys, n, width, 1.0f);
      detail::load_bias(block, near, nullptr, bias, s, at.head, n, n, at.first, k0);
      block.wait();
      detail::multiply_tiles(block, query, key.transposed(), n, n, width, [&](std::size_t r, std::size_t c, float score) {
        if (bias.weight != nullptr) score += near[c + n - 1 - r];
        bool const seen = c < keys && (!s.causal || k0 + c <= at.first + r);
        p(r, c) = seen ? score : detail::no_score;
      });
      block.wait();
      std::size_t const lane = block.thread() % warp_width;
      for (std::size_t r = block.thread() / warp_width; r < n; r += block.threads() / warp_width) {
        float const score = lane < n ? p(r, lane) : detail::no_score;
        float const before = lane == 0 ? largest[r] : detail::no_score;  // one lane alone reads it, and writes it below
        float const high = combine_in_warp(block, larger{}(before, score), larger{});
        float const e = lane < n ? kernels::exp(score - high) : 0.0f;
        float const all = combine_in_warp(block, e, plus{});
        if (lane < n) p(r, lane) = e;
        if (lane != 0) continue;
        shrink[r] = kernels::exp(before - high);
        total[r] = total[r] * shrink[r] + all;
        largest[r] = high;
      }
      block.wait();
      detail::multiply_tiles(block, p, value, n, width, n,
                             [&](std::size_t r, std::size_t d, float more) { sum(r, d) = sum(r, d) * shrink[r] + more; });
    }
    block.wait();
    bool const any = limit > 0;
    detail::store_tile(block, to, stride, sum, at.rows, width, [&](std::size_t r) { return any ? 1.0f / total[r] : 0.0f; });
    for (std::size_t r = block.thread(); r < at.rows; r += block.threads())
      to_lse[r * s.heads] = any ? largest[r] + std::log(total[r]) : 0.0f;
  }
};

/// delta = the sum of d_o o over a head's columns
/// Shapes  delta: [rows, heads], d_o, o: [rows, heads, width]
/// Launch  one warp for each row and head, eight of them in a block
template <class T>
struct attention_delta {
  float* delta;
  T const *d_o, *o;
  std::size_t heads_of_rows, width;

  static constexpr unsigned warps = 8, least_threads = warps * warp_width;
  [[nodiscard]] launch_size size() const { return {runs_of(heads_of_rows, warps), least_threads, 0}; }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    std::size_t const row = block.index() * warps + block.thread() / warp_width;
    unsigned const lane = block.thread() % warp_width;
    float own = 0.0f;
    if (row < heads_of_rows)
      for (std::size_t at = row * width + lane; at < (row + 1) * width; at += warp_width)
        own += static_cast<float>(d_o[at]) * static_cast<float>(o[at]);
    float const sum = combine_in_warp(block, own, plus{});
    if (lane == 0 && row < heads_of_rows) delta[row] = sum;
  }
};

/// What both bodies of the backward read.
template <class T>
struct attention_gradient_operands {
  attention_shape s;
  T const *d_o, *q, *k, *v;
  float const *lse, *delta;
  std::int32_t const* lengths;
  score_bias<T> bias;
};

namespace detail {

/// p and ds of one tile of queries and one of keys, from their products; 0 where a query does not see a key
///   p = exp(q k^T + bias - lse), ds = p (d_o v^T - delta)
/// Shapes  p, ds: [queries, keys]; query, d_out, key, value: [tokens, width]
template <class Block, class T>
MPX_HOST_DEVICE MPX_INLINE void score_gradients(Block const& block, attention_gradient_operands<T> const& of,
                                                tile const& p, tile const& ds, tile const& query, tile const& d_out,
                                                tile const& key, tile const& value, float const* near, std::size_t n,
                                                std::size_t width, std::size_t q0, std::size_t k0, std::size_t queries,
                                                std::size_t keys, float const* lse, float const* delta) {
  multiply_tiles(block, query, key.transposed(), n, n, width,
                 [&](std::size_t r, std::size_t c, float score) { p(r, c) = score; });
  // The same thread has just written p(r, c).
  multiply_tiles(block, d_out, value.transposed(), n, n, width, [&](std::size_t r, std::size_t c, float dp) {
    bool const seen = r < queries && c < keys && (!of.s.causal || k0 + c <= q0 + r);
    float const score = of.bias.weight != nullptr ? p(r, c) + near[c + n - 1 - r] : p(r, c);
    float const e = seen ? kernels::exp(score - lse[r]) : 0.0f;
    p(r, c) = e;
    ds(r, c) = seen ? e * (dp - delta[r]) : 0.0f;
  });
}

/// Queries as the backward reads them: scaled, with their gradients and statistics.
template <class Block, class T>
MPX_HOST_DEVICE MPX_INLINE void load_queries(Block const& block, attention_gradient_operands<T> const& of,
                                             attention_place const& at, tile const& query, tile const& d_out, float* lse,
                                             float* delta, std::size_t q0, std::size_t rows) {
  std::size_t const first = at.sequence * of.s.query_tokens + q0, stride = of.s.heads * at.width;
  load_tile(block, query, of.q + first * of.s.query_stride + at.head * at.width, of.s.query_stride, rows, at.tokens,
            at.width, at.factor);
  load_tile(block, d_out, of.d_o + first * stride + at.head * at.width, stride, rows, at.tokens, at.width, 1.0f);
  for (std::size_t r = block.thread(); r < rows; r += block.threads()) {
    lse[r] = of.lse[(first + r) * of.s.heads + at.head];
    delta[r] = of.delta[(first + r) * of.s.heads + at.head];
  }
}

template <class Block, class T>
MPX_HOST_DEVICE MPX_INLINE void load_keys(Block const& block, attention_gradient_operands<T> const& of,
                                          attention_place const& at, tile const& key, tile const& value, std::size_t k0,
                                          std::size_t keys) {
  std::size_t const from = (at.sequence * of.s.key_tokens + k0) * of.s.key_stride + at.key_head * at.width;
  load_tile(block, key, of.k + from, of.s.key_stride, keys, at.tokens, at.width, 1.0f);
  load_tile(block, value, of.v + from, of.s.key_stride, keys, at.tokens, at.width, 1.0f);
}

}  // namespace detail

/// dv = p^T d_o, dk = ds^T q / sqrt(D), summed over the heads of q that share one of k and v, in their order; 0 for keys
/// that no query sees
/// Shapes  dk, dv as k; the rest as attention_forward
/// Launch  one block for each sequence, head of k and tile of keys
template <class T>
struct attention_key_gradients {
  attention_gradient_operands<T> of;
  T *dk, *dv;

  static constexpr unsigned most_threads = detail::most_attention_threads;
  [[nodiscard]] launch_size size() const {
    auto const& s = of.s;
    return {s.sequences * (s.heads / s.group()) * runs_of(s.key_tokens, detail::tile_tokens(s.head_width)),
            detail::attention_threads(s.head_width), detail::tile_bytes(s.head_width, 6, 2, 4)};
  }

  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    auto const& s = of.s;
    detail::attention_place at(s, of.lengths, block.index(), s.key_tokens, detail::tile_tokens(s.head_width), true);
    std::size_t const n = at.tokens, width = at.width, k0 = at.first;
    std::size_t const keys = k0 < at.allowed ? (at.allowed - k0 < n ? at.allowed - k0 : n) : 0;
    std::size_t const queries_end = keys > 0 ? s.query_tokens : 0;

    detail::tile_memory memory(block.shared());
    auto const key = memory.take(n, width), value = memory.take(n, width), dkey = memory.take(n, width);
    auto const dvalue = memory.take(n, width), query = memory.take(n, width), d_out = memory.take(n, width);
    auto const p = memory.take(n, n), ds = memory.take(n, n);
    float *const lse = memory.take(n), *const delta = memory.take(n), *const near = memory.take(2 * n);

    detail::load_keys(block, of, at, key, value, k0, keys);
    detail::clear(block, dkey.at, n * (width + 1));
    detail::clear(block, dvalue.at, n * (width + 1));
    for (std::size_t shared = 0; shared < s.group(); ++shared, ++at.head)
      for (std::size_t q0 = s.causal ? k0 : 0; q0 < queries_end; q0 += n) {
        std::size_t const rows = s.query_tokens - q0 < n ? s.query_tokens - q0 : n;
        block.wait();
        detail::load_queries(block, of, at, query, d_out, lse, delta, q0, rows);
        detail::load_bias(block, near, nullptr, of.bias, s, at.head, n, n, q0, k0);
        block.wait();
        detail::score_gradients(block, of, p, ds, query, d_out, key, value, near, n, width, q0, k0, rows, keys, lse, delta);
        block.wait();
        detail::multiply_tiles(block, p.transposed(), d_out, n, width, n,
                               [&](std::size_t r, std::size_t d, float more) { dvalue(r, d) += more; });
        detail::multiply_tiles(block, ds.transposed(), query, n, width, n,
                               [&](std::size_t r, std::size_t d, float more) { dkey(r, d) += more; });
      }
    block.wait();
    std::size_t const to = (at.sequence * s.key_tokens + k0) * s.key_stride + at.key_head * width;
    auto const as_it_is = [](std::size_t) { return 1.0f; };
    detail::store_tile(block, dk + to, s.key_stride, dkey, at.rows, width, as_it_is);
    detail::store_tile(block, dv + to, s.key_stride, dvalue, at.rows, width, as_it_is);
  }
};

/// dq = ds k / sqrt(D), and each tile's share of the bias's gradient: a bucket's sum of ds, distances in ascending order
/// Shapes  dq as q; bias_shares: [sequences, heads, tiles, buckets], or null
/// Launch  one block for each sequence, head and tile of queries
template <class T>
struct attention_query_gradients {
  attention_gradient_operands<T> of;
  T* dq;
  float* bias_shares;

  static constexpr unsigned most_threads = detail::most_attention_threads;
  /// Of one head of a sequence.
  [[nodiscard]] static std::size_t tiles(attention_shape const& s) {
    return runs_of(s.query_tokens, detail::tile_tokens(s.head_width));
  }
  [[nodiscard]] launch_size size() const {
    auto const& s = of.s;
    return {s.sequences * s.heads * tiles(s), detail::attention_threads(s.head_width),
            detail::tile_bytes(s.head_width, 5, 2, 8) + relative_buckets::most_buckets * sizeof(float)};
  }

  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    auto const& s = of.s;
    detail::attention_place const at(s, of.lengths, block.index(), s.query_tokens, detail::tile_tokens(s.head_width));
    std::size_t const n = at.tokens, width = at.width, limit = at.keys_of_queries(s.causal);
    std::size_t const buckets = bias_shares != nullptr ? of.bias.buckets.count() : 0;

    detail::tile_memory memory(block.shared());
    auto const key = memory.take(n, width), value = memory.take(n, width), dquery = memory.take(n, width);
    auto const query = memory.take(n, width), d_out = memory.take(n, width);
    auto const p = memory.take(n, n), ds = memory.take(n, n);
    float *const lse = memory.take(n), *const delta = memory.take(n), *const near = memory.take(2 * n);
    float *const bucket = memory.take(2 * n), *const by_distance = memory.take(2 * n);
    float* const share = memory.take(relative_buckets::most_buckets);

    detail::load_queries(block, of, at, query, d_out, lse, delta, at.first, at.rows);
    detail::clear(block, dquery.at, n * (width + 1));
    detail::clear(block, share, buckets);
    for (std::size_t k0 = 0; k0 < limit; k0 += n) {
      std::size_t const keys = limit - k0 < n ? limit - k0 : n;
      block.wait();
      detail::load_keys(block, of, at, key, value, k0, keys);
      detail::load_bias(block, near, bucket, of.bias, s, at.head, n, n, at.first, k0);
      block.wait();
      detail::score_gradients(block, of, p, ds, query, d_out, key, value, near, n, width, at.first, k0, at.rows, keys, lse,
                              delta);
      block.wait();
      detail::multiply_tiles(block, ds, key, n, width, n,
                             [&](std::size_t r, std::size_t d, float more) { dquery(r, d) += more; });
      if (buckets == 0) continue;
      detail::add_by_bucket(block, share, by_distance, bucket, ds, n, n);
    }
    block.wait();
    std::size_t const to = (at.sequence * s.query_tokens + at.first) * s.query_stride + at.head * width;
    detail::store_tile(block, dq + to, s.query_stride, dquery, at.rows, width, [&](std::size_t) { return at.factor; });
    for (std::size_t u = block.thread(); u < buckets; u += block.threads())
      bias_shares[block.index() * buckets + u] = share[u];
  }
};

/// d_bias[u, h] += the shares of sequence 0's tiles, of sequence 1's, and so on
/// Shapes  d_bias: [buckets, heads], shares: [sequences, heads, tiles, buckets]
/// Launch  one block for each bucket
struct attention_bias_gradient {
  float* d_bias;
  float const* shares;
  std::size_t sequences, heads, tiles, buckets;

  [[nodiscard]] launch_size size() const { return per_row(buckets, heads); }
  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    block_lanes(block).each(heads, [this, u = block.index()](std::size_t h) {
      float sum = 0.0f;
      for (std::size_t b = 0; b < sequences; ++b) {
        MPX_UNROLL_BY(8)
        for (std::size_t t = 0; t < tiles; ++t) sum += shares[((b * heads + h) * tiles + t) * buckets + u];
      }
      d_bias[u * heads + h] += sum;
    });
  }
};

}  // namespace mpx::on_cuda
