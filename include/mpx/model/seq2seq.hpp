/// @file
/// An encoder-decoder Transformer.
#pragma once

#include <cstddef>
#include <type_traits>

#include <mpx/model/cross_entropy.hpp>
#include <mpx/model/embedding.hpp>
#include <mpx/model/transformer_block.hpp>

namespace mpx {

/// Scaled tokens, plus sinusoidal positions, dropped out: how a sequence enters an encoder or a decoder.
template <std::size_t V, std::size_t C, std::size_t Context, fixed_string Feed, axis Axis>
struct sinusoidal_embedding {
  using body = sequential<section<"token", token_embedding<V, C, Feed, Axis, true, init::unit_rows>>,
                          sinusoidal_positions<Context, C, Axis>, dropout<C, Axis>>;
  using row_label = name<"embedding">;
  using takes = message<>;
  using gives = typename body::gives;
  using reads = message<>;
  using feeds = typename body::feeds;
  using parameters = boost::hana::tuple<>;
};

namespace detail {

template <std::size_t Vs, std::size_t Vt, std::size_t C>
struct seq2seq_options {
  static_assert(Vs > 0 && Vt > 0 && C > 0,
                "mpx::seq2seq requires its user to give mpx::source_vocabulary<V>, mpx::target_vocabulary<V> and "
                "mpx::width<C>");
};

template <class... Options>
struct seq2seq_parts {
  static constexpr std::size_t vs = option_v<source_vocabulary, 0, Options...>;
  static constexpr std::size_t vt = option_v<target_vocabulary, 0, Options...>;
  static constexpr std::size_t c = option_v<mpx::width, 0, Options...>;
  static constexpr std::size_t t = option_v<mpx::context, 512, Options...>;

  using encoder = section<"encoder", sinusoidal_embedding<vs, c, t, "source", axis::source>,
                          repeat<option_v<encoder_layers, 6, Options...>, encoder_block<Options...>>,
                          gives_as<"memory", layer_norm<c, axis::source>>>;
  using head = language_head<c, vt, head_weight<c, vt, init::xavier_uniform>>;
  using decoder = section<"decoder", sinusoidal_embedding<vt, c, t, "inputs", axis::target>,
                          repeat<option_v<decoder_layers, 6, Options...>, decoder_block<Options...>>, layer_norm<c>, head,
                          cross_entropy<vt>>;
  using type = std::conditional_t<(vs > 0 && vt > 0 && c > 0), sequential<encoder, decoder>, sequential<no_layer>>;
  using checked = decltype(verdict_on<seq2seq_options<vs, vt, c>>());
};

}  // namespace detail

/// The Transformer of "Attention is all you need": an encoder whose output every decoder layer reads.
///   encoder.embedding  encoder.layers.0 ...  encoder.norm
///   decoder.embedding  decoder.layers.0 ...  decoder.norm  decoder.head  decoder.loss
/// Feeds   source [B, Ts], source_lengths [B], inputs [B, Tt], targets [B, Tt], target_lengths [B]
/// Options  source_vocabulary, target_vocabulary, width, heads, head_width, feed_forward, encoder_layers,
///          decoder_layers, context, pre_norm | post_norm
/// Source  Vaswani et al. 2017, arXiv:1706.03762
template <class... Options>
struct seq2seq : detail::seq2seq_parts<Options...>::type {
  static constexpr std::size_t width = detail::seq2seq_parts<Options...>::c;
  static constexpr std::size_t context = detail::seq2seq_parts<Options...>::t;
};

}  // namespace mpx
