/// @file
/// Scaled dot-product attention with several heads, described.
#pragma once

#include <array>
#include <cstddef>
#include <type_traits>

#include <mpx/core/relative_buckets.hpp>
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

/// Attention adds relative.weight[bucket(key - query), head] to each score; see core/relative_buckets.hpp.
/// Shapes  relative.weight: [Buckets, H]
/// Source  Raffel et al. 2019, arXiv:1910.10683, section 2.1
template <std::size_t Buckets = 32, std::size_t MostDistance = 128>
struct relative_bias {
  static constexpr bool turns = false;
  static constexpr std::size_t buckets = Buckets;
  static constexpr std::size_t most_distance = MostDistance;
  template <std::size_t C, std::size_t H>
  using weight = parameter<"relative.weight", shape<Buckets, H>, init::one_over<C>, sharded_inputs>;
};

/// The same with the weight of the layer that owns it, named in full: "layers.0.attention.relative.weight".
template <fixed_string Owner, std::size_t Buckets = 32, std::size_t MostDistance = 128>
struct shared_relative_bias : relative_bias<Buckets, MostDistance> {
  template <std::size_t C, std::size_t H>
  using weight = tied_parameter<"relative.weight", shape<Buckets, H>, Owner, sharded_inputs>;
};

/// Scores are q k^T, not divided by sqrt(D); instead the weights of q begin smaller by that factor.
struct unscaled {};

namespace detail {

/// What an option says of positions.
template <class T> concept positions = requires { T::turns; };
template <class T> concept relative = requires { T::buckets; };

template <class... Options>
struct positions_among {
  using type = no_rotary;
};
template <class First, class... Rest>
struct positions_among<First, Rest...> : positions_among<Rest...> {};
template <positions First, class... Rest>
struct positions_among<First, Rest...> {
  using type = First;
};

template <class T>
inline constexpr bool projection_option =
    has_option_v<T, biased, unbiased, unscaled> || is_option_v<head_width, T>;

template <class... Options>
struct self_attention_options {
  static_assert(((projection_option<Options> || positions<Options> || is_option_v<key_value_heads, Options>) && ...),
                "mpx::self_attention requires each option to be biased, unbiased, unscaled, head_width<D>, "
                "key_value_heads<N>, rotary<>, relative_bias<> or no_rotary");
};
template <class... Options>
struct cross_attention_options {
  static_assert((projection_option<Options> && ...),
                "mpx::cross_attention requires each option to be biased, unbiased, unscaled or head_width<D>");
};

template <std::size_t Inner, std::size_t H, bool Turns>
struct rotary_heads {
  static_assert(!Turns || Inner / (H > 0 ? H : 1) % 2 == 0,
                "mpx::rotary requires heads to have an even number of columns");
};

template <std::size_t Buckets, std::size_t MostDistance>
struct bias_buckets {
  static_assert(Buckets % 2 == 0 && Buckets >= 4 && Buckets <= relative_buckets::most_buckets,
                "mpx::relative_bias requires an even number of buckets, from 4 to 64");
  static_assert(MostDistance > Buckets / 2 && MostDistance <= relative_buckets::farthest,
                "mpx::relative_bias requires its distance to be more than half of its buckets, and at most 65535");
};

/// The parameters in Tuple, and the bias's weight where there is one.
template <class Tuple, class Positions, std::size_t C, std::size_t H>
struct with_bias {
  using type = Tuple;
};
template <class... P, relative Positions, std::size_t C, std::size_t H>
struct with_bias<boost::hana::tuple<P...>, Positions, C, H> {
  using type = boost::hana::tuple<P..., typename Positions::template weight<C, H>>;
  using checked = decltype(verdict_on<bias_buckets<Positions::buckets, Positions::most_distance>>());
};

/// Weights that make q, k and v of x, and their biases: one for all three, or one of q and one of the fewer k and v.
template <bool Grouped, bool Biased, bool Scaled, std::size_t C, std::size_t Inner, std::size_t KeyInner, std::size_t D,
          class Init>
struct attention_projections {
  using qkv_init = std::conditional_t<Scaled, Init, init::smaller_first<Init, 3, D>>;
  using qkv = parameter<"qkv.weight", shape<3 * Inner, C>, qkv_init, over_tensor<spread::sharded_0, 3>>;
  using qkv_bias = parameter<"qkv.bias", shape<3 * Inner>, init::zeros, over_tensor<spread::sharded_0, 3>>;
  template <class Out, class OutBias>
  using with = std::conditional_t<Biased, boost::hana::tuple<qkv, qkv_bias, Out, OutBias>, boost::hana::tuple<qkv, Out>>;
};
template <bool Biased, bool Scaled, std::size_t C, std::size_t Inner, std::size_t KeyInner, std::size_t D, class Init>
struct attention_projections<true, Biased, Scaled, C, Inner, KeyInner, D, Init> {
  using query_init = std::conditional_t<Scaled, Init, init::smaller_first<Init, 1, D>>;
  using query = parameter<"query.weight", shape<Inner, C>, query_init, sharded_outputs>;
  using query_bias = parameter<"query.bias", shape<Inner>, init::zeros, sharded_outputs>;
  using key_value = parameter<"key_value.weight", shape<2 * KeyInner, C>, Init, over_tensor<spread::sharded_0, 2>>;
  using key_value_bias = parameter<"key_value.bias", shape<2 * KeyInner>, init::zeros, over_tensor<spread::sharded_0, 2>>;
  template <class Out, class OutBias>
  using with = std::conditional_t<Biased, boost::hana::tuple<query, query_bias, key_value, key_value_bias, Out, OutBias>,
                                  boost::hana::tuple<query, key_value, Out>>;
};

template <std::size_t C, std::size_t H>
struct attention_heads {
  static_assert(H > 0 && C % H == 0, "mpx::attention requires its heads to divide its width");
};
template <std::size_t H, std::size_t N>
struct attention_key_value_heads {
  static_assert(N <= H && H % N == 0, "mpx::attention requires its key/value heads to divide its heads");
};
template <std::size_t D>
struct attention_head_width {
  static_assert(D <= most_head_width, "mpx::attention requires its heads to have at most 256 columns");
};

/// The width of a head, said or divided; asks what must hold of it.
template <std::size_t C, std::size_t H, class... Options>
struct heads_of {
  static constexpr std::size_t said = option_v<head_width, 0, Options...>;
  static constexpr std::size_t width = said > 0 ? said : C / (H > 0 ? H : 1);
  using divided = std::conditional_t<(said > 0 && H > 0), attention_heads<1, 1>, attention_heads<C, H>>;
  using checked = decltype(verdict_on<divided>());
  using fits = decltype(verdict_on<attention_head_width<width>>());
};

}  // namespace detail

// Over several tensor ranks each rank has whole heads: columns of q, k and v, and the inputs of the output's weight.

/// Each token looks at all tokens of its sequence (bidirectional), or at those up to itself (Causal).
///   q, k, v = x Wqkv^T + b;  y = softmax(q k^T / sqrt(D)) v Wout^T + b
/// With key_value_heads<N>, N below H, H / N heads share each of N heads of keys and values, and q has a weight of its own:
///   q = x Wq^T + b;  k, v = x Wkv^T + b
/// Bidirectional attention masks padding by the feed "<axis>_lengths".
/// Shapes  x, y: [B, T, C]; H heads of D columns; Wqkv: [3HD, C], or Wq: [HD, C] and Wkv: [2ND, C]; Wout: [C, HD]
/// Options  head_width<D> (C / H where left out), key_value_heads<N> (H), biased | unbiased, unscaled,
///          no_rotary | rotary<> | relative_bias<>
/// Source  Vaswani et al. 2017, arXiv:1706.03762, section 3.2; Ainslie et al. 2023, arXiv:2305.13245 (key/value heads)
template <std::size_t C, std::size_t H, bool Causal, axis Axis = axis::target, class Init = init::xavier_uniform,
          class OutInit = Init, class... Options>
struct self_attention : layer_defaults {
  static constexpr std::size_t width = C;
  static constexpr std::size_t heads = H;
  static constexpr std::size_t key_value_heads = option_v<mpx::key_value_heads, H, Options...>;
  static constexpr bool grouped = key_value_heads < H;
  static constexpr std::size_t head_width = detail::heads_of<C, H, Options...>::width;
  static constexpr std::size_t inner = H * head_width;                          ///< width of all heads together
  static constexpr std::size_t key_value_inner = key_value_heads * head_width;  ///< width of their keys
  static constexpr bool causal = Causal;
  static constexpr bool has_bias = !has_option_v<unbiased, Options...>;
  static constexpr bool scaled = !has_option_v<unscaled, Options...>;
  using positions = typename detail::positions_among<Options...>::type;
  static constexpr bool is_relative = detail::relative<positions>;
  static constexpr axis on = Axis;
  using row_label = name<"attention">;
  using takes = message<stream<"x", C, Axis>>;
  using gives = takes;
  using lengths = std::conditional_t<Axis == axis::source, feed<"source_lengths", Axis, 0, true>,
                                     feed<"target_lengths", Axis, 0, true>>;
  using feeds = std::conditional_t<Causal, message<>, message<lengths>>;
  using out = parameter<"out.weight", shape<C, inner>, OutInit, sharded_inputs>;
  using out_bias = parameter<"out.bias", shape<C>, init::zeros>;
  using projections = typename detail::attention_projections<grouped, has_bias, scaled, C, inner, key_value_inner,
                                                             head_width, Init>::template with<out, out_bias>;
  using parameters = typename detail::with_bias<projections, positions, C, H>::type;
  // x; qkv, or q and kv (q and k turned); the heads' output; log of the softmax's sums
  static constexpr auto saves = [] {
    constexpr tensor_extent x{Axis, C}, output = split_columns(Axis, inner),
                            sums = split_columns(Axis, H, element::accumulate);
    if constexpr (grouped)
      return std::array<tensor_extent, 5>{x, output, split_columns(Axis, 2 * key_value_inner), output, sums};
    else
      return std::array<tensor_extent, 4>{x, split_columns(Axis, 3 * inner), output, sums};
  }();
  // gradients of qkv, or q and kv; and what this microbatch adds to the gradient of the scores' bias
  static constexpr auto defers = [] {
    constexpr std::size_t count = (grouped ? 2 : 1) + (is_relative ? 1 : 0);
    std::array<tensor_extent, count> list{split_columns(Axis, grouped ? inner : 3 * inner)};
    if constexpr (grouped) list[1] = split_columns(Axis, 2 * key_value_inner);
    if constexpr (is_relative)
      list[count - 1] = {Axis, positions::buckets * H, element::accumulate, per::layer, spread::sharded_1};
    return list;
  }();
  // gradient of the heads' output; row sums of output times gradient; dq while it is summed
  static constexpr std::array<tensor_extent, 3> backward_scratch{{split_columns(Axis, inner),
                                                                  split_columns(Axis, H, element::accumulate),
                                                                  split_columns(Axis, inner, element::accumulate)}};
  static constexpr std::array<tensor_extent, 1> forward_sums{summed_over_ranks(Axis, C)};
  static constexpr std::array<tensor_extent, 1> backward_sums{summed_over_ranks(Axis, C)};
  static constexpr bool keeps_input = true;
  static constexpr double flops(extents const& e) {
    double const own = static_cast<double>(e.share(inner, spread::sharded_1));
    double const keys = static_cast<double>(e.share(key_value_inner, spread::sharded_1));
    return 2.0 * e.rows(Axis) * 2 * C * (own + keys) + 4.0 * e.rows(Axis) * e.tokens_on(Axis) * own;
  }
  using options_known = decltype(verdict_on<detail::self_attention_options<Options...>>());
  using checked = typename detail::heads_of<C, H, Options...>::checked;
  using shared = decltype(verdict_on<detail::attention_key_value_heads<H, key_value_heads>>());
  using turned = decltype(verdict_on<detail::rotary_heads<inner, H, positions::turns>>());
};

/// Each target token looks at all source tokens of its sequence, through the stream "memory".
/// Shapes  x, y: [B, Tt, C]; memory: [B, Ts, C]; H heads of D columns; Wq: [HD, C]; Wkv: [2HD, C]; Wout: [C, HD]
/// Options  head_width<D> (C / H where left out), biased | unbiased, unscaled
/// Source  Vaswani et al. 2017, arXiv:1706.03762, section 3.2.3
template <std::size_t C, std::size_t H, class Init = init::xavier_uniform, class... Options>
struct cross_attention : layer_defaults {
  static constexpr std::size_t width = C;
  static constexpr std::size_t heads = H;
  static constexpr std::size_t head_width = detail::heads_of<C, H, Options...>::width;
  static constexpr std::size_t inner = H * head_width;  ///< width of all heads together
  static constexpr bool has_bias = !has_option_v<unbiased, Options...>;
  static constexpr bool scaled = !has_option_v<unscaled, Options...>;
  using row_label = name<"cross_attention">;
  using takes = message<stream<"x", C>>;
  using gives = takes;
  using reads = message<stream<"memory", C, axis::source>>;
  using lengths = feed<"source_lengths", axis::source, 0, true>;
  using feeds = message<lengths>;
  using out = parameter<"out.weight", shape<C, inner>, Init, sharded_inputs>;
  using out_bias = parameter<"out.bias", shape<C>, init::zeros>;
  using parameters = typename detail::attention_projections<true, has_bias, scaled, C, inner, inner, head_width,
                                                            Init>::template with<out, out_bias>;
  // x, q, kv, the heads' output, log of the softmax's sums
  static constexpr std::array<tensor_extent, 5> saves{{{axis::target, C},
                                                       split_columns(axis::target, inner),
                                                       split_columns(axis::source, 2 * inner),
                                                       split_columns(axis::target, inner),
                                                       split_columns(axis::target, H, element::accumulate)}};
  // gradients of q and kv
  static constexpr std::array<tensor_extent, 2> defers{{split_columns(axis::target, inner),
                                                        split_columns(axis::source, 2 * inner)}};
  // gradients of the heads' output and of memory; row sums; dq while it is summed
  static constexpr std::array<tensor_extent, 4> backward_scratch{{split_columns(axis::target, inner),
                                                                  {axis::source, C},
                                                                  split_columns(axis::target, H, element::accumulate),
                                                                  split_columns(axis::target, inner, element::accumulate)}};
  static constexpr std::array<tensor_extent, 1> forward_sums{summed_over_ranks(axis::target, C)};
  static constexpr std::array<tensor_extent, 2> backward_sums{
      {summed_over_ranks(axis::source, C), summed_over_ranks(axis::target, C)}};
  static constexpr bool keeps_input = true;
  static constexpr double flops(extents const& e) {
    double const own = static_cast<double>(e.share(inner, spread::sharded_1));
    return 2.0 * e.rows(axis::target) * 2 * C * own + 2.0 * e.rows(axis::source) * 2 * C * own +
           4.0 * e.rows(axis::target) * e.tokens_on(axis::source) * own;
  }
  using options_known = decltype(verdict_on<detail::cross_attention_options<Options...>>());
  using checked = typename detail::heads_of<C, H, Options...>::checked;
};

}  // namespace mpx
