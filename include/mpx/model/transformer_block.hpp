/// @file
/// The blocks that Transformers are made of.
#pragma once

#include <cstddef>
#include <type_traits>

#include <mpx/model/activation.hpp>
#include <mpx/model/attention.hpp>
#include <mpx/model/linear.hpp>
#include <mpx/model/norm.hpp>
#include <mpx/model/options.hpp>
#include <mpx/model/sequential.hpp>

namespace mpx {

/// up (C to F), activation, dropout, down (F to C). Each tensor rank has a slice of the F columns.
/// Shapes  x, y: [B, T, C]
template <std::size_t C, std::size_t F, class Activation = gelu, axis Axis = axis::target,
          class Init = init::xavier_uniform, class OutInit = Init, class Bias = biased>
struct mlp {
  using up = section<"up", linear<C, F, Axis, Init, Bias, split_outputs<>>>;
  using down = section<"down", linear<F, C, Axis, OutInit, Bias, split_inputs>>;
  using body = std::conditional_t<
      std::is_same_v<Activation, relu>, sequential<up, relu_dropout<F, Axis, spread::sharded_1>, down>,
      sequential<up, activation<Activation, F, Axis, spread::sharded_1>, dropout<F, Axis, spread::sharded_1>, down>>;
  using row_label = name<"mlp">;
  using takes = typename body::takes;
  using gives = typename body::gives;
  using reads = message<>;
  using feeds = message<>;
  using parameters = boost::hana::tuple<>;
};

/// x + dropout(f(norm(x))) with pre_norm, norm(x + dropout(f(x))) with post_norm.
/// Source  Xiong et al. 2020, arXiv:2002.04745 (pre-norm)
template <class Position, class Norm, class Layer, std::size_t C, axis Axis>
using sub_layer = std::conditional_t<std::is_same_v<Position, pre_norm>, sequential<residual<Norm, Layer, dropout<C, Axis>>>,
                                     sequential<residual<Layer, dropout<C, Axis>>, Norm>>;

namespace detail {

template <std::size_t C>
struct block_width {
  static_assert(C > 0, "mpx::transformer_block requires its user to give mpx::width<C>");
};

}  // namespace detail

/// Self-attention and mlp, each with its norm and residual.
/// Options  width<C>, heads<H>, head_width<D> (or C / H), feed_forward<F> (or 4 C), pre_norm | post_norm
template <bool Causal, axis Axis, class Activation, class Init, class OutInit, class... Options>
struct basic_transformer_block {
  static constexpr std::size_t c = option_v<width, 0, Options...>;
  static constexpr std::size_t h = option_v<heads, 1, Options...>;
  static constexpr std::size_t f = option_v<feed_forward, 4 * c, Options...>;
  using position = std::conditional_t<has_option_v<post_norm, Options...>, post_norm, pre_norm>;
  using norm = layer_norm<c, Axis>;
  using columns = head_width<option_v<head_width, 0, Options...>>;
  using attention = self_attention<c, h, Causal, Axis, Init, OutInit, columns>;

  using body = sequential<
      section<"attention", sub_layer<position, norm, attention, c, Axis>>,
      section<"mlp", sub_layer<position, norm, mlp<c, f, Activation, Axis, Init, OutInit>, c, Axis>>>;
  using row_label = name<"layers">;
  using takes = typename body::takes;
  using gives = typename body::gives;
  using reads = typename body::reads;
  using feeds = typename body::feeds;
  using parameters = boost::hana::tuple<>;
  using checked = decltype(verdict_on<detail::block_width<c>>());
};

/// A block of a decoder-only model: causal self-attention, mlp with the tanh gelu, GPT-2's initial values.
template <class... Options>
using transformer_block =
    basic_transformer_block<true, axis::target, gelu_tanh, init::normal<20>, init::normal<20>, Options...>;

/// A block of an encoder: bidirectional self-attention that masks padding.
template <class... Options>
using encoder_block = basic_transformer_block<false, axis::source, relu, init::xavier_uniform, init::xavier_uniform, Options...>;

/// A block of a decoder that reads the encoder's memory: causal self-attention, cross-attention, mlp.
template <class... Options>
struct decoder_block {
  static constexpr std::size_t c = option_v<width, 0, Options...>;
  static constexpr std::size_t h = option_v<heads, 1, Options...>;
  static constexpr std::size_t f = option_v<feed_forward, 4 * c, Options...>;
  using position = std::conditional_t<has_option_v<post_norm, Options...>, post_norm, pre_norm>;
  using norm = layer_norm<c>;
  using columns = head_width<option_v<head_width, 0, Options...>>;
  using own = self_attention<c, h, true, axis::target, init::xavier_uniform, init::xavier_uniform, columns>;
  using across = cross_attention<c, h, init::xavier_uniform, columns>;

  using body = sequential<section<"attention", sub_layer<position, norm, own, c, axis::target>>,
                          section<"cross_attention", sub_layer<position, norm, across, c, axis::target>>,
                          section<"mlp", sub_layer<position, norm, mlp<c, f, relu>, c, axis::target>>>;
  using row_label = name<"layers">;
  using takes = typename body::takes;
  using gives = typename body::gives;
  using reads = typename body::reads;
  using feeds = typename body::feeds;
  using parameters = boost::hana::tuple<>;
  using checked = decltype(verdict_on<detail::block_width<c>>());
};

}  // namespace mpx
