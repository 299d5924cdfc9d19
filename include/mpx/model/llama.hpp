/// @file
/// A decoder-only Transformer without biases: rotary positions, gated mlp, norms by root mean square.
#pragma once

#include <cstddef>
#include <type_traits>

#include <mpx/model/activation.hpp>
#include <mpx/model/attention.hpp>
#include <mpx/model/cross_entropy.hpp>
#include <mpx/model/embedding.hpp>
#include <mpx/model/linear.hpp>
#include <mpx/model/norm.hpp>
#include <mpx/model/options.hpp>
#include <mpx/model/sequential.hpp>

namespace mpx {

/// gates and values (C to 2 F), f(gates) * values, down (F to C); no biases. Each tensor rank has a slice of the F
/// columns of both.
/// Shapes  x, y: [B, T, C]
/// Source  Shazeer 2020, arXiv:2002.05202, FFN_SwiGLU
template <std::size_t C, std::size_t F, class Function = silu, axis Axis = axis::target,
          class Init = init::xavier_uniform, class OutInit = Init>
struct gated_mlp {
  using body = sequential<section<"gate_up", linear<C, 2 * F, Axis, Init, unbiased, split_outputs<2>>>,
                          gated_activation<Function, F, Axis, spread::sharded_1>,
                          section<"down", linear<F, C, Axis, OutInit, unbiased, split_inputs>>>;
  using row_label = name<"mlp">;
  using takes = typename body::takes;
  using gives = typename body::gives;
  using reads = message<>;
  using feeds = message<>;
  using parameters = boost::hana::tuple<>;
};

/// Causal self-attention with rotary positions and a gated mlp, each behind its norm and beside its residual. H heads share
/// KV heads of keys and values.
template <std::size_t C, std::size_t H, std::size_t F, class Init = init::normal<20>, class OutInit = Init, std::size_t KV = H,
          class Turn = rotary<>>
struct llama_block {
  using attention = self_attention<C, H, true, axis::target, Init, OutInit, unbiased, Turn, key_value_heads<KV>>;
  using body = sequential<section<"attention", residual<rms_norm<C>, attention>>,
                          section<"mlp", residual<rms_norm<C>, gated_mlp<C, F, silu, axis::target, Init, OutInit>>>>;
  using row_label = name<"layers">;
  using takes = typename body::takes;
  using gives = typename body::gives;
  using reads = message<>;
  using feeds = message<>;
  using parameters = boost::hana::tuple<>;
};

namespace detail {

template <std::size_t V, std::size_t C, std::size_t F> struct llama_options {
  static_assert(V > 0 && C > 0 && F > 0,
                "mpx::llama requires its user to give mpx::vocabulary<V>, mpx::width<C> and mpx::feed_forward<F>");
};

template <class... Options> struct llama_parts {
  static constexpr std::size_t v = option_v<mpx::vocabulary, 0, Options...>;
  static constexpr std::size_t c = option_v<mpx::width, 0, Options...>;
  static constexpr std::size_t f = option_v<mpx::feed_forward, 0, Options...>;
  static constexpr std::size_t h = option_v<mpx::heads, 1, Options...>;
  static constexpr std::size_t n = option_v<mpx::layers, 32, Options...>;
  static constexpr std::size_t t = option_v<mpx::context, 2048, Options...>;
  using head = std::conditional_t<has_option_v<tied, Options...>, tied_language_head<c, v, "embedding.weight">,
                                  language_head<c, v>>;
  static constexpr std::size_t kv = option_v<mpx::key_value_heads, h, Options...>;
  using turn = typename positions_among<Options..., rotary<>>::type;
  using block = llama_block<c, h, f, init::normal<20>, init::normal<20, 2 * n>, kv, turn>;
  using whole = sequential<token_embedding<v, c, "inputs">, repeat<n, block>, rms_norm<c>, head, cross_entropy<v>>;
  using type = std::conditional_t<(v > 0 && c > 0 && f > 0), whole, sequential<no_layer>>;
  using checked = decltype(verdict_on<llama_options<v, c, f>>());
};

}  // namespace detail

/// LLaMA, 1 to 3: rotary positions, pre-norm blocks without biases or dropout, SwiGLU, a head of its own unless `tied`.
///   embedding  layers.0 ...  norm  head  loss
/// Pairs that turn together stand side by side, as in the paper of rotary positions and in the authors' checkpoints.
/// The norms add 1e-5 to the mean square; LLaMA 7B was trained with 1e-6.
/// Feeds   inputs [B, T], targets [B, T], target_lengths [B]
/// Options  vocabulary, width, heads, key_value_heads, feed_forward, layers, context, rotary<Base>, tied | untied
/// Source  Touvron et al. 2023, arXiv:2302.13971, section 2.2; arXiv:2307.09288, section 2.2 (key/value heads)
template <class... Options> struct llama : detail::llama_parts<Options...>::type {
  static constexpr std::size_t width = detail::llama_parts<Options...>::c;
  static constexpr std::size_t context = detail::llama_parts<Options...>::t;
};

}  // namespace mpx
