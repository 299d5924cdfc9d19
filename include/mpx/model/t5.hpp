/// @file
/// An encoder-decoder Transformer that knows tokens' places by a bias on attention's scores alone.
#pragma once

#include <cstddef>
#include <type_traits>

#include <mpx/model/cross_entropy.hpp>
#include <mpx/model/embedding.hpp>
#include <mpx/model/transformer_block.hpp>

namespace mpx {

/// Tokens, dropped out: how a sequence enters a stack.
template <std::size_t V, std::size_t C, fixed_string Feed, axis Axis, class Table>
struct t5_embedding {
  using body = sequential<section<"token", token_embedding<V, C, Feed, Axis, false, init::normal<1000>, Table>>,
                          dropout<C, Axis>>;
  using row_label = name<"embedding">;
  using takes = message<>;
  using gives = typename body::gives;
  using reads = message<>;
  using feeds = typename body::feeds;
  using parameters = boost::hana::tuple<>;
};

/// rms_norm, dropped out: how a sequence leaves a stack.
/// Shapes  x, y: [B, T, C]
template <std::size_t C, axis Axis>
struct t5_norm {
  using body = sequential<rms_norm<C, Axis>, dropout<C, Axis>>;
  using row_label = name<"norm">;
  using takes = typename body::takes;
  using gives = typename body::gives;
  using reads = message<>;
  using feeds = message<>;
  using parameters = boost::hana::tuple<>;
};

/// Bidirectional self-attention that masks padding, and a relu mlp; no biases. Positions is the bias by distance, owned
/// or shared.
template <std::size_t C, std::size_t H, std::size_t D, std::size_t F, class Positions>
struct t5_encoder_block {
  static constexpr axis on = axis::source;
  using norm = rms_norm<C, on>;
  using attention = self_attention<C, H, false, on, init::unit_rows, init::unit_rows, head_width<D>, unbiased, unscaled,
                                   Positions>;
  using wide = mlp<C, F, relu, on, init::unit_rows, init::unit_rows, unbiased>;

  using body = sequential<section<"attention", sub_layer<pre_norm, norm, attention, C, on>>,
                          section<"mlp", sub_layer<pre_norm, norm, wide, C, on>>>;
  using row_label = name<"layers">;
  using takes = typename body::takes;
  using gives = typename body::gives;
  using reads = message<>;
  using feeds = typename body::feeds;
  using parameters = boost::hana::tuple<>;
};

/// Causal self-attention, attention to the encoder's memory without a bias by distance, and a relu mlp; no biases.
template <std::size_t C, std::size_t H, std::size_t D, std::size_t F, class Positions>
struct t5_decoder_block {
  static constexpr axis on = axis::target;
  using norm = rms_norm<C, on>;
  using attention = self_attention<C, H, true, on, init::unit_rows, init::unit_rows, head_width<D>, unbiased, unscaled,
                                   Positions>;
  using across = cross_attention<C, H, init::unit_rows, head_width<D>, unbiased, unscaled>;
  using wide = mlp<C, F, relu, on, init::unit_rows, init::unit_rows, unbiased>;

  using body = sequential<section<"attention", sub_layer<pre_norm, norm, attention, C, on>>,
                          section<"cross_attention", sub_layer<pre_norm, norm, across, C, on>>,
                          section<"mlp", sub_layer<pre_norm, norm, wide, C, on>>>;
  using row_label = name<"layers">;
  using takes = typename body::takes;
  using gives = typename body::gives;
  using reads = typename body::reads;
  using feeds = typename body::feeds;
  using parameters = boost::hana::tuple<>;
};

namespace detail {

template <std::size_t V, std::size_t C>
struct t5_options {
  static_assert(V > 0 && C > 0, "mpx::t5 requires its user to give mpx::vocabulary<V> and mpx::width<C>");
};

/// N blocks under one path, of which the first one owns what the others share.
template <std::size_t N, class First, class Other>
using t5_stack = std::conditional_t<(N > 1), sequential<repeat<1, First>, repeat<(N > 1 ? N - 1 : 1), Other>>,
                                    sequential<repeat<1, First>>>;

template <class... Options>
struct t5_parts {
  static constexpr std::size_t v = option_v<mpx::vocabulary, 0, Options...>;
  static constexpr std::size_t c = option_v<mpx::width, 0, Options...>;
  static constexpr std::size_t h = option_v<mpx::heads, 1, Options...>;
  static constexpr std::size_t d = option_v<mpx::head_width, 0, Options...>;  // 0: c / h
  static constexpr std::size_t f = option_v<mpx::feed_forward, 4 * c, Options...>;
  static constexpr std::size_t t = option_v<mpx::context, 512, Options...>;

  using table = parameter<"weight", shape<v, c>, init::normal<1000>, sharded_outputs>;
  using same_table = tied_parameter<"weight", shape<v, c>, "encoder.embedding.token.weight", sharded_outputs>;
  using encoder_bias = shared_relative_bias<"encoder.layers.0.attention.relative.weight">;
  using decoder_bias = shared_relative_bias<"decoder.layers.0.attention.relative.weight">;

  using encoder = section<
      "encoder", t5_embedding<v, c, "source", axis::source, table>,
      t5_stack<option_v<encoder_layers, 6, Options...>, t5_encoder_block<c, h, d, f, relative_bias<>>,
               t5_encoder_block<c, h, d, f, encoder_bias>>,
      gives_as<"memory", t5_norm<c, axis::source>>>;
  using decoder = section<
      "decoder", t5_embedding<v, c, "inputs", axis::target, same_table>,
      t5_stack<option_v<decoder_layers, 6, Options...>, t5_decoder_block<c, h, d, f, relative_bias<>>,
               t5_decoder_block<c, h, d, f, decoder_bias>>,
      t5_norm<c, axis::target>, language_head<c, v, same_table, true>, cross_entropy<v>>;
  using type = std::conditional_t<(v > 0 && c > 0), sequential<encoder, decoder>, sequential<no_layer>>;
  using checked = decltype(verdict_on<t5_options<v, c>>());
};

}  // namespace detail

/// T5, version 1.0: one table for sources, targets and logits; in each stack one bias by distance that its first layer
/// owns; norms by root mean square; no biases; a relu mlp.
///   encoder.embedding  encoder.layers.0 ...  encoder.norm
///   decoder.embedding  decoder.layers.0 ...  decoder.norm  decoder.head  decoder.loss
/// Scores are not divided by sqrt(D), logits are by sqrt(C). Dropout follows embeddings, sub-layers, the mlp's relu and
/// the last norms; attention's weights are not dropped out. The norms add 1e-5 to the mean square, the authors' 1e-6.
/// Feeds   source [B, Ts], source_lengths [B], inputs [B, Tt], targets [B, Tt], target_lengths [B]
/// Options  vocabulary, width, heads, head_width, feed_forward, encoder_layers, decoder_layers, context
/// Source  Raffel et al. 2019, arXiv:1910.10683, section 2.1
template <class... Options>
struct t5 : detail::t5_parts<Options...>::type {
  static constexpr std::size_t width = detail::t5_parts<Options...>::c;
  static constexpr std::size_t context = detail::t5_parts<Options...>::t;
};

}  // namespace mpx
