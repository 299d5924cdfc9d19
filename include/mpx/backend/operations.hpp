/// @file
/// Sizes that the operations of a machine are called with. All tensors are row-major.
#pragma once

#include <cstddef>
#include <cstdint>

#include <mpx/config/config.hpp>
#include <mpx/core/relative_buckets.hpp>

namespace mpx {

/// c[m,n] = (accumulate ? c : 0) + op(a)[m,k] op(b)[k,n] + bias[n]
/// Shapes  a: [m,k], or [k,m] when transposed; b: [k,n], or [n,k] when transposed; a bias only without accumulate
struct gemm_shape {
  std::size_t m = 0;
  std::size_t n = 0;
  std::size_t k = 0;
  bool transpose_a = false;
  bool transpose_b = false;
  bool accumulate = false;

  friend constexpr bool operator==(gemm_shape const&, gemm_shape const&) = default;
};

/// o = softmax(q k^T / sqrt(D)) v for each sequence and head, D = head_width; softmax(q k^T) v when not `scaled`. Heads
/// h, h + 1, ... of q, `group()` of them, share one head of k and v.
/// Shapes  q: [sequences, query_tokens] rows of query_stride elements, k and v: [sequences, key_tokens] rows of
///         key_stride elements, o: [sequences, query_tokens, heads*D]; head h of a row begins at column h*D
/// Units   strides in elements from one token to the next
struct attention_shape {
  std::size_t sequences = 0;
  std::size_t heads = 0;
  std::size_t query_tokens = 0;
  std::size_t key_tokens = 0;
  std::size_t head_width = 0;
  std::size_t query_stride = 0;
  std::size_t key_stride = 0;
  bool causal = false;  ///< query token i sees key tokens 0 to i
  bool scaled = true;   ///< scores are divided by sqrt(D)
  std::size_t key_value_heads = 0;  ///< of k and v, a divisor of heads; 0: as many as q has

  [[nodiscard]] constexpr std::size_t group() const { return key_value_heads > 0 ? heads / key_value_heads : 1; }
  friend constexpr bool operator==(attention_shape const&, attention_shape const&) = default;
};

/// What is added to the score of a query and a key before the softmax: weight[buckets(key - query), head].
/// Shapes  weight: [buckets.count(), heads], or null: nothing is added
template <class T>
struct score_bias {
  T const* weight = nullptr;
  relative_buckets buckets{};
};

/// Columns 2i and 2i + 1 of each head are turned by the angle t base^(-2i / head_width) of their token t, or back.
/// Shapes  [sequences, tokens] rows of `stride` elements; head h of a row begins at column h*head_width
/// Units   stride in elements from one token to the next
struct rotary_shape {
  std::size_t sequences = 0;
  std::size_t tokens = 0;
  std::size_t heads = 0;
  std::size_t head_width = 0;
  std::size_t stride = 0;
  std::size_t base = 10'000;
  bool back = false;

  friend constexpr bool operator==(rotary_shape const&, rotary_shape const&) = default;
};

/// The ids of a vocabulary that one tensor rank holds: first, first + 1, ... of them `count`.
struct id_slice {
  std::size_t first = 0;
  std::size_t count = static_cast<std::size_t>(-1);
};

/// In which order the parts of a sum over ranks are added: ((p0 p1) p2) p3, or (p0 p1) (p2 p3).
enum class sum_order { one_by_one, in_pairs };

/// How buffers of several ranks become one: their sum in rank order, or in pairs, or the largest of each place.
enum class combining : unsigned char { sum, sum_in_pairs, largest };

/// One of the buffers that an all_reduce adds up, and its place in the sum.
template <class A>
struct summand {
  A* data = nullptr;
  std::size_t place = 0;
};

/// Which random bits a dropout draws: 16 for each element, of philox({channel / 8, token, first_sequence + sequence, step},
/// key)[channel / 2 % 4] the lower half where the channel is even, else the upper one; tokens counted from first_token,
/// channels from first_channel. An element is kept iff they are dropped() or more, and then divided by the share of such
/// numbers, so that its mean is kept whatever rate is no multiple of 2^-16.
struct dropout_draw {
  std::uint64_t key = 0;             ///< from the seed and the layer's name
  std::uint32_t step = 0;            ///< of the optimizer
  std::uint32_t first_sequence = 0;  ///< index of the microbatch's first sequence in the global batch
  std::uint32_t first_token = 0;     ///< where a slice of a sequence's tokens begins
  std::uint32_t first_channel = 0;   ///< where a slice of the channels begins
  float rate = 0.0f;                 ///< share of elements that become 0, to the nearest 2^-16; below 1

  /// How many of the 65536 numbers of 16 bits drop an element.
  [[nodiscard]] MPX_HOST_DEVICE MPX_INLINE constexpr std::uint32_t dropped() const {
    auto const nearest = static_cast<std::uint32_t>(rate * 65536.0f + 0.5f);
    return nearest < 65535u ? nearest : 65535u;
  }

  /// What elements that stay are multiplied by.
  template <class A>
  [[nodiscard]] MPX_HOST_DEVICE MPX_INLINE constexpr A factor() const {
    return A(65536) / A(65536u - dropped());
  }
};

/// Whether and how a step updates its parameters, from the sums over all of its gradients and losses. The same on every
/// device, because it is computed from the same sums in the same order.
struct update_decision {
  bool finite = true;  ///< false: the step is skipped
  float norm = 0;      ///< of all gradients, after unscaling and before clipping
  float factor = 1;    ///< what each gradient is multiplied by: 1 / loss scale, times clipping's own
};

/// In place of that factor: the machine has taken the decision itself, and knows it.
struct decided_by_machine {};

}  // namespace mpx
