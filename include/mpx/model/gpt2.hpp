/// @file
/// A decoder-only Transformer.
#pragma once

#include <cstddef>
#include <type_traits>

#include <mpx/model/cross_entropy.hpp>
#include <mpx/model/embedding.hpp>
#include <mpx/model/transformer_block.hpp>

namespace mpx {

/// Tokens plus trained positions, dropped out.
template <std::size_t V, std::size_t C, std::size_t Context>
struct learned_embedding {
  using body = sequential<section<"token", token_embedding<V, C, "inputs">>,
                          section<"position", learned_positions<Context, C>>, dropout<C>>;
  using row_label = name<"embedding">;
  using takes = message<>;
  using gives = typename body::gives;
  using reads = message<>;
  using feeds = typename body::feeds;
  using parameters = boost::hana::tuple<>;
};

namespace detail {

template <std::size_t V, std::size_t C>
struct gpt2_options {
  static_assert(V > 0 && C > 0, "mpx::gpt2 requires its user to give mpx::vocabulary<V> and mpx::width<C>");
};

template <class... Options>
struct gpt2_parts {
  static constexpr std::size_t v = option_v<mpx::vocabulary, 0, Options...>;
  static constexpr std::size_t c = option_v<mpx::width, 0, Options...>;
  static constexpr std::size_t n = option_v<mpx::layers, 12, Options...>;
  static constexpr std::size_t t = option_v<mpx::context, 1024, Options...>;
  using head = std::conditional_t<has_option_v<untied, Options...>, language_head<c, v>,
                                  tied_language_head<c, v, "embedding.token.weight">>;
  using block =
      basic_transformer_block<true, axis::target, gelu_tanh, init::normal<20>, init::normal<20, 2 * n>, Options...>;
  using whole = sequential<learned_embedding<v, c, t>, repeat<n, block>, layer_norm<c>, head, cross_entropy<v>>;
  using type = std::conditional_t<(v > 0 && c > 0), whole, sequential<no_layer>>;
  using checked = decltype(verdict_on<gpt2_options<v, c>>());
};

}  // namespace detail

/// GPT-2: trained positions, pre-norm blocks, tanh gelu, the head tied to the token table unless `untied`.
///   embedding  layers.0 ...  norm  head  loss
/// Feeds   inputs [B, T], targets [B, T], target_lengths [B]
/// Options  vocabulary, width, heads, head_width, feed_forward, layers, context, tied | untied, pre_norm | post_norm
/// Source  Radford et al. 2019, "Language models are unsupervised multitask learners"
template <class... Options>
struct gpt2 : detail::gpt2_parts<Options...>::type {
  static constexpr std::size_t width = detail::gpt2_parts<Options...>::c;
  static constexpr std::size_t context = detail::gpt2_parts<Options...>::t;
};

}  // namespace mpx
