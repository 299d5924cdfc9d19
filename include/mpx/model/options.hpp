/// @file
/// Named template arguments: `width<128>`, `heads<4>`, in any order.
#pragma once

#include <cstddef>
#include <type_traits>

namespace mpx {

template <std::size_t N> struct width {};              ///< C, the model's width
template <std::size_t N> struct heads {};              ///< H, attention heads
template <std::size_t N> struct key_value_heads {};    ///< heads of keys and values, each shared by H / N heads; H where left out
template <std::size_t N> struct head_width {};         ///< D, columns of a head; C / H where left out
template <std::size_t N> struct feed_forward {};       ///< hidden width of the mlp; 4 C where left out
template <std::size_t N> struct vocabulary {};         ///< V
template <std::size_t N> struct source_vocabulary {};  ///< V of an encoder's input
template <std::size_t N> struct target_vocabulary {};  ///< V of a decoder
template <std::size_t N> struct context {};            ///< the most tokens that positions are known for
template <std::size_t N> struct layers {};             ///< blocks of a decoder-only model
template <std::size_t N> struct encoder_layers {};
template <std::size_t N> struct decoder_layers {};

/// Normalise before each sub-layer (default), or after each residual sum.
struct pre_norm {};
struct post_norm {};

/// The head reuses the embedding's table (default for gpt2), or has its own.
struct tied {};
struct untied {};

/// Dense layers add a bias (default), or none.
struct biased {};
struct unbiased {};

namespace detail {

template <template <std::size_t> class Tag, class T>
struct option_value {
  static constexpr std::size_t value = 0;
};
template <template <std::size_t> class Tag, std::size_t N>
struct option_value<Tag, Tag<N>> {
  static constexpr std::size_t value = N;
};

}  // namespace detail

/// The N of Tag<N> among Args; Default where there is none.
template <template <std::size_t> class Tag, std::size_t Default, class... Args>
inline constexpr std::size_t option_v = [] {
  constexpr std::size_t found = (detail::option_value<Tag, Args>::value + ... + 0);
  return found ? found : Default;
}();

template <template <std::size_t> class Tag, class T>
inline constexpr bool is_option_v = false;
template <template <std::size_t> class Tag, std::size_t N>
inline constexpr bool is_option_v<Tag, Tag<N>> = true;

template <class Tag, class... Args>
inline constexpr bool has_option_v = (std::is_same_v<Tag, Args> || ...);

namespace detail {

template <class Option, std::size_t N>
struct padded_option {
  using type = Option;
};
template <template <std::size_t> class Tag, std::size_t V, std::size_t N>
  requires(std::is_same_v<Tag<V>, vocabulary<V>> || std::is_same_v<Tag<V>, source_vocabulary<V>> ||
           std::is_same_v<Tag<V>, target_vocabulary<V>>)
struct padded_option<Tag<V>, N> {
  using type = Tag<(V + N - 1) / N * N>;
};

template <class Model, std::size_t N>
struct padded_model;
template <template <class...> class Family, class... Options, std::size_t N>
struct padded_model<Family<Options...>, N> {
  using type = Family<typename padded_option<Options, N>::type...>;
};

}  // namespace detail

/// A model whose vocabularies are rounded up to a multiple of N, as tensor ranks need it: 50257 becomes 50304 of 64. No
/// batch has an id above the tokenizer's; the logits of such ids learn to be small.
template <class Model, std::size_t N>
using with_padded_vocabulary = typename detail::padded_model<Model, N>::type;

}  // namespace mpx
