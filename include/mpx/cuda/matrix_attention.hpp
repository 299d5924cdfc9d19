/// @file
/// Bodies of attention for the GPU's matrix units: operands of products are 16-bit, sums and statistics f32.
///
/// As attention.hpp has it, but for tiles of 64 tokens whose rows are shared by four warps, 16 rows each: scores stay in the
/// registers of the warp that computed them. While a warp works on one tile the next one is on its way to shared memory.
/// Probabilities and their gradients are rounded to T where they are multiplied; sums of probabilities are taken before.
/// Heads are as wide as `Width`, or padded to it with zeros in shared memory.
/// Types   T in {bf16, f16}
/// Source  Dao 2023, "FlashAttention-2", arXiv:2307.08691, algorithms 1 and 2
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include <mpx/backend/operations.hpp>
#include <mpx/config/config.hpp>
#include <mpx/cuda/attention.hpp>
#include <mpx/cuda/block.hpp>
#include <mpx/cuda/fragment.hpp>

namespace mpx::on_cuda {

/// Heads that are wider have no registers for their sums.
inline constexpr std::size_t most_matrix_head_width = 128;

namespace detail {

/// Exponentials are taken to the base 2, scores scaled for it.
inline constexpr float log2_of_e = 0x1.715476p0f, ln_of_2 = 0x1.62e43p-1f;

/// Tokens whose rows a block's four warps share.
inline constexpr unsigned block_tokens = 64, block_threads = 128;

/// Rows of a tile in shared memory lie so far apart that 8 of them meet no bank twice.
/// Units   elements
template <unsigned Width>
inline constexpr unsigned tile_stride = Width + 8;
template <unsigned Width>
inline constexpr unsigned tile_elements(unsigned tokens) {
  return tokens * tile_stride<Width>;
}

/// to[r, d] = from[r, d], 0 beyond the last row and the last column: begun, where 16 bytes at a time can be copied.
/// Shapes  to: [Tokens, Width], from: [rows, width] in rows of `stride` elements
template <unsigned Tokens, unsigned Width, class Block, class T>
MPX_HOST_DEVICE MPX_INLINE void copy_rows_ahead(Block const& block, std::uint16_t* to, T const* from, std::size_t stride,
                                                std::size_t rows, std::size_t width) {
  bool const in_sixteens = reinterpret_cast<std::uintptr_t>(from) % 16 == 0 && stride % 8 == 0;
  for (unsigned i = block.thread(); i < Tokens * Width / 8; i += block_threads) {
    unsigned const r = i / (Width / 8), d = i % (Width / 8) * 8;
    std::uint16_t* const at = to + r * tile_stride<Width> + d;
    bool const there = r < rows && d < width;
    if (in_sixteens && (!there || d + 8 <= width)) block.template copy_ahead<16>(at, from + r * stride + d, there);
    else
      for (unsigned j = 0; j < 8; ++j) at[j] = r < rows && d + j < width ? from[r * stride + d + j].bits : std::uint16_t{0};
  }
}

/// to[first + r, d] = T(factor[half of r] sums(r, d))
/// Shapes  to: rows of `stride` elements; sums: the warp's 16 rows of [Columns * 8]
template <class T, unsigned Columns, class Block>
MPX_HOST_DEVICE MPX_INLINE void store_sums(Block const& block, T* to, std::size_t stride, partial_sums const (&sums)[Columns],
                                           float const (&factor)[2], unsigned first, std::size_t rows, std::size_t width) {
  bool const in_pairs = reinterpret_cast<std::uintptr_t>(to) % 4 == 0 && stride % 2 == 0;
  MPX_UNROLL
  for (unsigned j = 0; j < Columns; ++j) {
    MPX_UNROLL
    for (unsigned half = 0; half < 2; ++half) {
      unsigned const r = first + row_of_sum(block.thread(), 2 * half), d = j * 8 + column_of_sum(block.thread(), 0);
      if (r >= rows || d >= width) continue;
      float const* const two = sums[j].at + 2 * half;
      std::uint32_t const pair = block.template pack<T>(factor[half] * two[0], factor[half] * two[1]);
      T* const at = to + r * stride + d;
      if (in_pairs && d + 1 < width) *reinterpret_cast<std::uint32_t*>(at) = pair;
      else {
        at[0].bits = static_cast<std::uint16_t>(pair);
        if (d + 1 < width) at[1].bits = static_cast<std::uint16_t>(pair >> 16);
      }
    }
  }
}

/// Queries as the backward reads them: the tokens from q0 on, with their gradients and statistics.
/// Shapes  query, d_out: [Tokens, Width]; statistics: lse, then delta, [2, Tokens]
template <unsigned Tokens, unsigned Width, class Block, class T>
MPX_HOST_DEVICE MPX_INLINE void copy_queries_ahead(Block const& block, attention_gradient_operands<T> const& of,
                                                   std::uint16_t* query, std::uint16_t* d_out, float* statistics,
                                                   std::size_t sequence, std::size_t head, std::size_t q0, std::size_t rows) {
  auto const& s = of.s;
  std::size_t const first = sequence * s.query_tokens + q0, stride = s.heads * s.head_width;
  copy_rows_ahead<Tokens, Width>(block, query, of.q + first * s.query_stride + head * s.head_width, s.query_stride, rows,
                                 s.head_width);
  copy_rows_ahead<Tokens, Width>(block, d_out, of.d_o + first * stride + head * s.head_width, stride, rows, s.head_width);
  static_assert(Tokens <= block_threads);
  if (unsigned const r = block.thread(); r < Tokens) {
    std::size_t const at = (first + r) * s.heads + head;
    block.template copy_ahead<4>(statistics + r, of.lse + at, r < rows);
    block.template copy_ahead<4>(statistics + Tokens + r, of.delta + at, r < rows);
  }
}

/// Keys and values from token k0 on, of the head that the place's heads of queries share.
/// Shapes  key, value: [Tokens, Width]
template <unsigned Tokens, unsigned Width, class Block, class T>
MPX_HOST_DEVICE MPX_INLINE void copy_keys_ahead(Block const& block, attention_shape const& s, attention_place const& at,
                                                std::uint16_t* key, std::uint16_t* value, T const* k, T const* v,
                                                std::size_t k0, std::size_t rows) {
  std::size_t const from = (at.sequence * s.key_tokens + k0) * s.key_stride + at.key_head * at.width;
  copy_rows_ahead<Tokens, Width>(block, key, k + from, s.key_stride, rows, at.width);
  copy_rows_ahead<Tokens, Width>(block, value, v + from, s.key_stride, rows, at.width);
}

/// f(r, c, j, i) for each sum that the thread holds of its warp's, at[i] of the j-th eight columns: row r, column c.
template <unsigned Columns, class F>
MPX_HOST_DEVICE MPX_INLINE void each_sum(unsigned thread, F f) {
  MPX_UNROLL
  for (unsigned j = 0; j < Columns; ++j) {
    MPX_UNROLL
    for (unsigned i = 0; i < 4; ++i) f(row_of_sum(thread, i), j * 8 + column_of_sum(thread, i), j, i);
  }
}

/// The block's shared memory, given out piece by piece; each piece begins at 16 bytes.
class piece_memory {
 public:
  explicit MPX_HOST_DEVICE piece_memory(std::byte* begin) : next_(begin) {}

  template <class E> MPX_HOST_DEVICE E* take(std::size_t n) {
    E* const at = reinterpret_cast<E*>(next_);
    next_ += bytes<E>(n);
    return at;
  }
  template <class E> [[nodiscard]] static MPX_HOST_DEVICE constexpr std::size_t bytes(std::size_t n) {
    return (n * sizeof(E) + 15) / 16 * 16;
  }

 private:
  std::byte* next_;
};

}  // namespace detail

/// As attention_forward.
/// Launch  one block for each sequence, head and 64 queries
template <class T, unsigned Width>
struct matrix_attention_forward {
  attention_shape s;
  T* o;
  float* lse;
  T const *q, *k, *v;
  std::int32_t const* lengths;
  score_bias<T> bias;

  static constexpr unsigned most_threads = detail::block_threads, least_threads = detail::block_threads;
  static constexpr unsigned blocks_at_once = Width <= 32 ? 5 : 4;
  static constexpr unsigned queries = detail::block_tokens, keys_of_tile = Width <= 64 ? 64 : 32;

  [[nodiscard]] launch_size size() const {
    return {s.sequences * s.heads * runs_of(s.query_tokens, queries), most_threads,
            detail::piece_memory::bytes<std::uint16_t>(detail::tile_elements<Width>(queries + 4 * keys_of_tile)) +
                detail::piece_memory::bytes<float>(queries + keys_of_tile)};
  }

  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    constexpr unsigned stride = detail::tile_stride<Width>, tile = detail::tile_elements<Width>(keys_of_tile);
    detail::attention_place const at(s, lengths, block.index(), s.query_tokens, queries);
    std::size_t const width = at.width, first_row = at.sequence * s.query_tokens + at.first;
    auto const limit = static_cast<unsigned>(at.keys_of_queries(s.causal));
    unsigned const thread = block.thread(), first = thread / warp_width * 16;  // of the warp's queries
    float const factor = at.factor * detail::log2_of_e;

    detail::piece_memory memory(block.shared());
    auto* const query = memory.take<std::uint16_t>(detail::tile_elements<Width>(queries + 4 * keys_of_tile));
    auto* const key = query + detail::tile_elements<Width>(queries);  // two tiles of keys, then two of values
    float* const near = memory.take<float>(queries + keys_of_tile);
    auto const copy_keys_ahead = [&](unsigned k0) {
      auto* const to = key + k0 / keys_of_tile % 2 * tile;
      detail::copy_keys_ahead<keys_of_tile, Width>(block, s, at, to, to + 2 * tile, k, v, k0, limit - k0);
    };

    float largest[2] = {detail::no_score, detail::no_score}, total[2] = {0.0f, 0.0f};  // of the thread's two rows
    partial_sums sum[Width / 8] = {};
    if (limit > 0) {  // else nobody would wait for what is copied
      detail::copy_rows_ahead<queries, Width>(block, query, q + first_row * s.query_stride + at.head * width, s.query_stride,
                                              at.rows, width);
      copy_keys_ahead(0);
    }
    block.end_copies();
    for (unsigned k0 = 0; k0 < limit; k0 += keys_of_tile) {
      if (k0 + keys_of_tile < limit) copy_keys_ahead(k0 + keys_of_tile);
      block.end_copies();
      detail::load_bias(block, near, nullptr, bias, s, at.head, queries, keys_of_tile, at.first, k0, detail::log2_of_e);
      block.template wait_for_copies<1>();
      block.wait();
      if (!s.causal || k0 <= at.first + first + 15) {  // else none of the warp's queries sees a key of this tile
        auto const* const here = key + k0 / keys_of_tile % 2 * tile;
        partial_sums p[keys_of_tile / 8] = {};
        multiply_by_rows<T, keys_of_tile / 8, Width / 16>(block, p, query + first * stride, here, stride);
        add_probabilities(block, at, p, largest, total, sum, near, first, k0, limit, factor);
        multiply_sums<T>(block, sum, p, here + 2 * tile, stride);
      }
      block.wait();  // the next copies go where this tile stood
    }
    bool const any = limit > 0;
    float shrink[2];
    MPX_UNROLL
    for (unsigned half = 0; half < 2; ++half) {
      for (unsigned distance = 1; distance < 4; distance *= 2) total[half] += block.exchange(total[half], distance);
      shrink[half] = any ? 1.0f / total[half] : 0.0f;
      unsigned const r = first + row_of_sum(thread, 2 * half);
      if (thread % 4 == 0 && r < at.rows)
        lse[(first_row + r) * s.heads + at.head] = any ? largest[half] * detail::ln_of_2 + std::log(total[half]) : 0.0f;
    }
    std::size_t const row = s.heads * width;
    detail::store_sums(block, o + first_row * row + at.head * width, row, sum, shrink, first, at.rows, width);
  }

 private:
  /// p: scores, which become exponentials beside the largest score so far; what was summed before shrinks accordingly.
  template <class Block>
  MPX_HOST_DEVICE MPX_INLINE void add_probabilities(Block const& block, detail::attention_place const& at,
                                                    partial_sums (&p)[keys_of_tile / 8], float (&largest)[2], float (&total)[2],
                                                    partial_sums (&sum)[Width / 8], float const* near, unsigned first,
                                                    unsigned k0, unsigned limit, float factor) const {
    unsigned const thread = block.thread(), first_query = static_cast<unsigned>(at.first) + first;  // of the warp
    float scale = factor;
    if (bias.weight != nullptr) {
      detail::each_sum<keys_of_tile / 8>(thread, [&](unsigned r, unsigned c, unsigned j, unsigned i) {
        p[j].at[i] = p[j].at[i] * factor + near[c + queries - 1 - (first + r)];
      });
      scale = 1.0f;
    }
    // Most tiles lie before the last key and the warp's first query.
    if (k0 + keys_of_tile > limit || (s.causal && k0 + keys_of_tile > first_query + 1))
      detail::each_sum<keys_of_tile / 8>(thread, [&](unsigned r, unsigned c, unsigned j, unsigned i) {
        if (k0 + c >= limit || (s.causal && k0 + c > first_query + r)) p[j].at[i] = detail::no_score;
      });
    float high[2] = {detail::no_score, detail::no_score};
    detail::each_sum<keys_of_tile / 8>(
        thread, [&](unsigned, unsigned, unsigned j, unsigned i) { high[i / 2] = larger{}(high[i / 2], p[j].at[i]); });
    MPX_UNROLL
    for (unsigned half = 0; half < 2; ++half) {
      for (unsigned distance = 1; distance < 4; distance *= 2)  // the four threads that share the row
        high[half] = larger{}(high[half], block.exchange(high[half], distance));
      high[half] = larger{}(largest[half], high[half] * scale);
      float const shrink = block.exp2(largest[half] - high[half]);
      largest[half] = high[half];
      total[half] *= shrink;
      MPX_UNROLL
      for (unsigned j = 0; j < Width / 8; ++j) {
        sum[j].at[2 * half] *= shrink;
        sum[j].at[2 * half + 1] *= shrink;
      }
    }
    detail::each_sum<keys_of_tile / 8>(thread, [&](unsigned, unsigned, unsigned j, unsigned i) {
      p[j].at[i] = block.exp2(p[j].at[i] * scale - high[i / 2]);
      total[i / 2] += p[j].at[i];
    });
  }
};

/// As attention_key_gradients.
/// Launch  one block for each sequence, head of k and 64 keys
template <class T, unsigned Width>
struct matrix_attention_key_gradients {
  attention_gradient_operands<T> of;
  T *dk, *dv;

  static constexpr unsigned most_threads = detail::block_threads, least_threads = detail::block_threads;
  static constexpr unsigned keys_of_block = detail::block_tokens, queries = 32;

  [[nodiscard]] launch_size size() const {
    auto const& s = of.s;
    return {s.sequences * (s.heads / s.group()) * runs_of(s.key_tokens, keys_of_block), most_threads,
            detail::piece_memory::bytes<std::uint16_t>(detail::tile_elements<Width>(2 * keys_of_block + 4 * queries)) +
                detail::piece_memory::bytes<float>(4 * queries) + detail::piece_memory::bytes<float>(keys_of_block + queries)};
  }

  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    auto const& s = of.s;
    constexpr unsigned stride = detail::tile_stride<Width>, tile = detail::tile_elements<Width>(queries);
    detail::attention_place const at(s, of.lengths, block.index(), s.key_tokens, keys_of_block, true);
    std::size_t const width = at.width;
    auto const k0 = static_cast<unsigned>(at.first), allowed = static_cast<unsigned>(at.allowed);
    auto const query_tokens = static_cast<unsigned>(s.query_tokens);
    unsigned const keys = k0 < allowed ? (allowed - k0 < keys_of_block ? allowed - k0 : keys_of_block) : 0;
    unsigned const q_begin = s.causal ? k0 : 0;
    unsigned const tiles = keys > 0 && q_begin < query_tokens ? (query_tokens - q_begin + queries - 1) / queries : 0;
    unsigned const thread = block.thread(), first = thread / warp_width * 16;  // of the warp's keys
    float const factor = at.factor * detail::log2_of_e;

    detail::piece_memory memory(block.shared());
    auto* const key = memory.take<std::uint16_t>(detail::tile_elements<Width>(2 * keys_of_block + 4 * queries));
    auto* const value = key + detail::tile_elements<Width>(keys_of_block);
    auto* const query = value + detail::tile_elements<Width>(keys_of_block);  // two tiles of q, then two of d_o
    float* const statistics = memory.take<float>(4 * queries);                // lse and delta of two tiles
    float* const near = memory.take<float>(keys_of_block + queries);

    std::size_t const from = (at.sequence * s.key_tokens + k0) * s.key_stride + at.key_head * width;
    detail::copy_keys_ahead<keys_of_block, Width>(block, s, at, key, value, of.k, of.v, k0, keys);
    // The tiles of the first head's queries, then of the second's, and so on.
    auto const copy_queries_ahead = [&](unsigned number) {
      unsigned const q0 = q_begin + number % tiles * queries, which = number % 2;
      detail::copy_queries_ahead<queries, Width>(block, of, query + which * tile, query + (2 + which) * tile,
                                                 statistics + 2 * which * queries, at.sequence,
                                                 at.head + number / tiles, q0, query_tokens - q0);
    };

    partial_sums dkey[Width / 8] = {}, dvalue[Width / 8] = {};
    unsigned const count = tiles * static_cast<unsigned>(s.group());
    if (count > 0) copy_queries_ahead(0);
    block.end_copies();
    for (unsigned number = 0; number < count; ++number) {
      unsigned const q0 = q_begin + number % tiles * queries, which = number % 2;
      if (number + 1 < count) copy_queries_ahead(number + 1);
      block.end_copies();
      detail::load_bias(block, near, nullptr, of.bias, s, at.head + number / tiles, queries, keys_of_block, q0, k0,
                        detail::log2_of_e);
      block.template wait_for_copies<1>();
      block.wait();
      if (!s.causal || k0 + first <= q0 + queries - 1) {  // else none of these queries sees a key of the warp
        auto const *const q = query + which * tile, *const d_out = q + 2 * tile;
        float const *const lse = statistics + 2 * which * queries, *const delta = lse + queries;
        partial_sums p[queries / 8] = {}, ds[queries / 8] = {};  // transposed: a row for each key
        multiply_by_rows<T, queries / 8, Width / 16>(block, p, key + first * stride, q, stride);
        multiply_by_rows<T, queries / 8, Width / 16>(block, ds, value + first * stride, d_out, stride);
        float scale = factor;
        if (of.bias.weight != nullptr) {
          detail::each_sum<queries / 8>(thread, [&](unsigned c, unsigned r, unsigned j, unsigned i) {
            p[j].at[i] = p[j].at[i] * factor + near[first + c + queries - 1 - r];
          });
          scale = 1.0f;
        }
        detail::each_sum<queries / 8>(thread, [&](unsigned, unsigned r, unsigned j, unsigned i) {
          p[j].at[i] = block.exp2(p[j].at[i] * scale - lse[r] * detail::log2_of_e);
          ds[j].at[i] = p[j].at[i] * (ds[j].at[i] - delta[r]);
        });
        // Most tiles lie before the last query and after the warp's last key, which is one of the sequence's.
        if (q0 + queries > query_tokens || first + 16 > keys || (s.causal && k0 + first + 15 > q0))
          detail::each_sum<queries / 8>(thread, [&](unsigned c, unsigned r, unsigned j, unsigned i) {
            if (q0 + r < query_tokens && first + c < keys && (!s.causal || k0 + first + c <= q0 + r)) return;
            p[j].at[i] = 0.0f;
            ds[j].at[i] = 0.0f;
          });
        multiply_sums<T>(block, dvalue, p, d_out, stride);
        multiply_sums<T>(block, dkey, ds, q, stride);
      }
      block.wait();  // the next copies go where this tile stood
    }
    float const as_it_is[2] = {1.0f, 1.0f}, scaled[2] = {at.factor, at.factor};
    detail::store_sums(block, dv + from, s.key_stride, dvalue, as_it_is, first, at.rows, width);
    detail::store_sums(block, dk + from, s.key_stride, dkey, scaled, first, at.rows, width);
  }
};

/// As attention_query_gradients.
/// Launch  one block for each sequence, head and 64 queries
template <class T, unsigned Width>
struct matrix_attention_query_gradients {
  attention_gradient_operands<T> of;
  T* dq;
  float* bias_shares;

  static constexpr unsigned most_threads = detail::block_threads, least_threads = detail::block_threads;
  static constexpr unsigned queries = detail::block_tokens, keys_of_tile = Width <= 64 ? 64 : 32;
  static constexpr unsigned distances = queries + keys_of_tile;

  /// Of one head of a sequence.
  [[nodiscard]] static std::size_t tiles(attention_shape const& s) { return runs_of(s.query_tokens, queries); }

  [[nodiscard]] launch_size size() const {
    auto const& s = of.s;
    using piece = detail::piece_memory;
    std::size_t const for_bias = bias_shares == nullptr ? 0
                                                        : 2 * piece::bytes<float>(distances) +
                                                              piece::bytes<float>(queries * (keys_of_tile + 1)) +
                                                              piece::bytes<float>(relative_buckets::most_buckets);
    return {s.sequences * s.heads * tiles(s), most_threads,
            piece::bytes<std::uint16_t>(detail::tile_elements<Width>(2 * queries + 4 * keys_of_tile)) +
                piece::bytes<float>(2 * queries) + piece::bytes<float>(distances) + for_bias};
  }

  template <class Block> MPX_HOST_DEVICE void operator()(Block const& block) const {
    auto const& s = of.s;
    constexpr unsigned stride = detail::tile_stride<Width>, tile = detail::tile_elements<Width>(keys_of_tile);
    detail::attention_place const at(s, of.lengths, block.index(), s.query_tokens, queries);
    std::size_t const width = at.width;
    auto const limit = static_cast<unsigned>(at.keys_of_queries(s.causal)), rows = static_cast<unsigned>(at.rows);
    auto const first_query = static_cast<unsigned>(at.first);
    std::size_t const buckets = bias_shares != nullptr ? of.bias.buckets.count() : 0;
    unsigned const thread = block.thread(), first = thread / warp_width * 16;  // of the warp's queries
    float const factor = at.factor * detail::log2_of_e;

    detail::piece_memory memory(block.shared());
    auto* const query = memory.take<std::uint16_t>(detail::tile_elements<Width>(2 * queries + 4 * keys_of_tile));
    auto* const d_out = query + detail::tile_elements<Width>(queries);
    auto* const key = d_out + detail::tile_elements<Width>(queries);  // two tiles of keys, then two of values
    float *const lse = memory.take<float>(2 * queries), *const delta = lse + queries;
    float* const near = memory.take<float>(distances);
    float *bucket = nullptr, *by_distance = nullptr, *share = nullptr;
    detail::tile of_scores{nullptr, keys_of_tile + 1, 1};
    if (buckets > 0) {
      bucket = memory.take<float>(distances);
      by_distance = memory.take<float>(distances);
      of_scores.at = memory.take<float>(queries * (keys_of_tile + 1));
      share = memory.take<float>(relative_buckets::most_buckets);
      detail::clear(block, share, buckets);
    }
    auto const copy_keys_ahead = [&](unsigned k0) {
      auto* const to = key + k0 / keys_of_tile % 2 * tile;
      detail::copy_keys_ahead<keys_of_tile, Width>(block, s, at, to, to + 2 * tile, of.k, of.v, k0, limit - k0);
    };

    partial_sums dquery[Width / 8] = {};
    if (limit > 0) {  // else nobody would wait for what is copied
      detail::copy_queries_ahead<queries, Width>(block, of, query, d_out, lse, at.sequence, at.head, at.first, at.rows);
      copy_keys_ahead(0);
    }
    block.end_copies();
    for (unsigned k0 = 0; k0 < limit; k0 += keys_of_tile) {
      if (k0 + keys_of_tile < limit) copy_keys_ahead(k0 + keys_of_tile);
      block.end_copies();
      detail::load_bias(block, near, bucket, of.bias, s, at.head, queries, keys_of_tile, at.first, k0, detail::log2_of_e);
      block.template wait_for_copies<1>();
      block.wait();
      bool const any_seen = !s.causal || k0 <= at.first + first + 15;
      auto const *const here = key + k0 / keys_of_tile % 2 * tile, *const values = here + 2 * tile;
      partial_sums p[keys_of_tile / 8] = {}, ds[keys_of_tile / 8] = {};
      if (any_seen) {
        multiply_by_rows<T, keys_of_tile / 8, Width / 16>(block, p, query + first * stride, here, stride);
        multiply_by_rows<T, keys_of_tile / 8, Width / 16>(block, ds, d_out + first * stride, values, stride);
      }
      float scale = factor;
      if (of.bias.weight != nullptr) {
        detail::each_sum<keys_of_tile / 8>(thread, [&](unsigned r, unsigned c, unsigned j, unsigned i) {
          p[j].at[i] = p[j].at[i] * factor + near[c + queries - 1 - (first + r)];
        });
        scale = 1.0f;
      }
      detail::each_sum<keys_of_tile / 8>(thread, [&](unsigned r, unsigned, unsigned j, unsigned i) {
        float const e = block.exp2(p[j].at[i] * scale - lse[first + r] * detail::log2_of_e);
        ds[j].at[i] = e * (ds[j].at[i] - delta[first + r]);
      });
      // Most tiles lie before the last key and the warp's first query, and all of the warp's queries are the sequence's.
      if (first + 16 > rows || k0 + keys_of_tile > limit || (s.causal && k0 + keys_of_tile > first_query + first + 1))
        detail::each_sum<keys_of_tile / 8>(thread, [&](unsigned r, unsigned c, unsigned j, unsigned i) {
          if (first + r >= rows || k0 + c >= limit || (s.causal && k0 + c > first_query + first + r)) ds[j].at[i] = 0.0f;
        });
      if (buckets > 0)
        detail::each_sum<keys_of_tile / 8>(
            thread, [&](unsigned r, unsigned c, unsigned j, unsigned i) { of_scores(first + r, c) = ds[j].at[i]; });
      if (any_seen) multiply_sums<T>(block, dquery, ds, here, stride);
      block.wait();  // the next copies go where this tile stood
      if (buckets == 0) continue;
      detail::add_by_bucket(block, share, by_distance, bucket, of_scores, queries, keys_of_tile);
      block.wait();
    }
    std::size_t const to = (at.sequence * s.query_tokens + at.first) * s.query_stride + at.head * width;
    float const scaled[2] = {at.factor, at.factor};
    detail::store_sums(block, dq + to, s.query_stride, dquery, scaled, first, at.rows, width);
    for (std::size_t u = thread; u < buckets; u += block.threads()) bias_shares[block.index() * buckets + u] = share[u];
  }
};

}  // namespace mpx::on_cuda
