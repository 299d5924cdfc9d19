/// @file
/// Scaled dot-product attention with several heads, described.
#pragma once

#include <array>
#include <cstddef>
#include <type_traits>

#include <mpx/model/layer.hpp>
#include <mpx/model/options.hpp>

namespace mpx {

/// Attention turns the pair of columns 2i, 2i + 1 of each head of q and k by the angle t Base^(-2i/D), t being the
/// token's position: scores then depend on distances alone, and sequences may have any length.
/// Source  Su et al. 2021, arXiv:2104.09864, section 3.2.2
template <std::size_t Base = 10'000>
struct rotary {
  static constexpr bool turns = true;
  static constexpr std::size_t base = Base;
};

/// Attention does not know where a token stands (default); an embedding has said it.
struct no_rotary {
  static constexpr bool turns = false;
};

namespace detail {

template <std::size_t C, std::size_t H, bool Turns>
struct rotary_heads {
  static_assert(!Turns || C / (H > 0 ? H : 1) % 2 == 0, "mpx::rotary requires heads to have an even number of columns");
};

template <std::size_t C, std::size_t H>
struct attention_heads {
  static constexpr bool divide = H > 0 && C % H == 0;
  static_assert(divide, "mpx::attention requires its heads to divide its width");
  static_assert(!divide || C / (H > 0 ? H : 1) <= most_head_width, "mpx::attention requires its heads to have at most 256 columns");
};

}  // namespace detail

// Over several tensor ranks each rank has whole heads: columns of q, k and v, and the inputs of the output's weight.

/// Each token looks at all tokens of its sequence (bidirectional), or at those up to itself (Causal).
///   q, k, v = x Wqkv^T + b;  y = softmax(q k^T / sqrt(D)) v Wout^T + b;  no b when `Bias` is unbiased
/// Bidirectional attention masks padding by the feed "<axis>_lengths".
/// Shapes  x, y: [B, T, C]; heads of D = C / H; Wqkv: [3C, C]; Wout: [C, C]
/// Source  Vaswani et al. 2017, arXiv:1706.03762, section 3.2
template <std::size_t C, std::size_t H, bool Causal, axis Axis = axis::target, class Init = init::xavier_uniform,
          class OutInit = Init, class Bias = biased, class Positions = no_rotary>
struct self_attention : layer_defaults {
  static constexpr std::size_t width = C;
  static constexpr std::size_t heads = H;
  static constexpr bool causal = Causal;
  static constexpr bool has_bias = std::is_same_v<Bias, biased>;
  using positions = Positions;
  static constexpr axis on = Axis;
  using row_label = name<"attention">;
  using takes = message<stream<"x", C, Axis>>;
  using gives = takes;
  using lengths = std::conditional_t<Axis == axis::source, feed<"source_lengths", Axis, 0, true>,
                                     feed<"target_lengths", Axis, 0, true>>;
  using feeds = std::conditional_t<Causal, message<>, message<lengths>>;
  using qkv = parameter<"qkv.weight", shape<3 * C, C>, Init, over_tensor<spread::sharded_0, 3>>;
  using qkv_bias = parameter<"qkv.bias", shape<3 * C>, init::zeros, over_tensor<spread::sharded_0, 3>>;
  using out = parameter<"out.weight", shape<C, C>, OutInit, over_tensor<spread::sharded_1>>;
  using parameters = std::conditional_t<has_bias,
                                        boost::hana::tuple<qkv, qkv_bias, out, parameter<"out.bias", shape<C>, init::zeros>>,
                                        boost::hana::tuple<qkv, out>>;
  // x, qkv (q and k turned), the heads' output, log of the softmax's sums
  static constexpr std::array<tensor_extent, 4> saves{
      {{Axis, C}, split_columns(Axis, 3 * C), split_columns(Axis, C), split_columns(Axis, H, element::accumulate)}};
  // gradients of the heads' output and of qkv; row sums of output times gradient; dq while it is summed
  static constexpr std::array<tensor_extent, 4> backward_scratch{
      {split_columns(Axis, C), split_columns(Axis, 3 * C), split_columns(Axis, H, element::accumulate),
       split_columns(Axis, C, element::accumulate)}};
  static constexpr std::array<tensor_extent, 1> forward_sums{summed_over_ranks(Axis, C)};
  static constexpr std::array<tensor_extent, 1> backward_sums{summed_over_ranks(Axis, C)};
  static constexpr bool keeps_input = true;
  static constexpr double flops(extents const& e) {
    double const inner = static_cast<double>(e.share(C, spread::sharded_1));
    return 2.0 * e.rows(Axis) * 4 * inner * C + 4.0 * e.rows(Axis) * e.tokens_on(Axis) * inner;
  }
  using checked = decltype(verdict_on<detail::attention_heads<C, H>>());
  using turned = decltype(verdict_on<detail::rotary_heads<C, H, Positions::turns>>());
};

/// Each target token looks at all source tokens of its sequence, through the stream "memory".
/// Shapes  x, y: [B, Tt, C]; memory: [B, Ts, C]; Wq: [C, C]; Wkv: [2C, C]; Wout: [C, C]
/// Source  Vaswani et al. 2017, arXiv:1706.03762, section 3.2.3
template <std::size_t C, std::size_t H, class Init = init::xavier_uniform>
struct cross_attention : layer_defaults {
  static constexpr std::size_t width = C;
  static constexpr std::size_t heads = H;
  using row_label = name<"cross_attention">;
  using takes = message<stream<"x", C>>;
  using gives = takes;
  using reads = message<stream<"memory", C, axis::source>>;
  using lengths = feed<"source_lengths", axis::source, 0, true>;
  using feeds = message<lengths>;
  using parameters = boost::hana::tuple<
      parameter<"query.weight", shape<C, C>, Init, over_tensor<spread::sharded_0>>,
      parameter<"query.bias", shape<C>, init::zeros, over_tensor<spread::sharded_0>>,
      parameter<"key_value.weight", shape<2 * C, C>, Init, over_tensor<spread::sharded_0, 2>>,
      parameter<"key_value.bias", shape<2 * C>, init::zeros, over_tensor<spread::sharded_0, 2>>,
      parameter<"out.weight", shape<C, C>, Init, over_tensor<spread::sharded_1>>,
      parameter<"out.bias", shape<C>, init::zeros>>;
  // x, q, kv, the heads' output, log of the softmax's sums
  static constexpr std::array<tensor_extent, 5> saves{{{axis::target, C},
                                                       split_columns(axis::target, C),
                                                       split_columns(axis::source, 2 * C),
                                                       split_columns(axis::target, C),
                                                       split_columns(axis::target, H, element::accumulate)}};
  // gradients of the heads' output, of q, kv and memory; row sums; dq while it is summed
  static constexpr std::array<tensor_extent, 6> backward_scratch{{split_columns(axis::target, C),
                                                                  split_columns(axis::target, C),
                                                                  split_columns(axis::source, 2 * C),
                                                                  {axis::source, C},
                                                                  split_columns(axis::target, H, element::accumulate),
                                                                  split_columns(axis::target, C, element::accumulate)}};
  static constexpr std::array<tensor_extent, 1> forward_sums{summed_over_ranks(axis::target, C)};
  static constexpr std::array<tensor_extent, 2> backward_sums{
      {summed_over_ranks(axis::source, C), summed_over_ranks(axis::target, C)}};
  static constexpr bool keeps_input = true;
  static constexpr double flops(extents const& e) {
    double const inner = static_cast<double>(e.share(C, spread::sharded_1));
    return 2.0 * e.rows(axis::target) * 2 * inner * C + 2.0 * e.rows(axis::source) * 2 * inner * C +
           4.0 * e.rows(axis::target) * e.tokens_on(axis::source) * inner;
  }
  using checked = decltype(verdict_on<detail::attention_heads<C, H>>());
};

}  // namespace mpx
