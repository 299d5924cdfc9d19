/// @file
/// Attention at work.
#pragma once

#include <mpx/layer/operations.hpp>
#include <mpx/model/attention.hpp>

namespace mpx {

/// Each tensor rank computes its own heads: q, k and v are slices of the columns, and what the slices of the output
/// projection give is summed.
template <std::size_t W, std::size_t H, bool Causal, axis Axis, class Init, class OutInit, class Bias, class Positions>
struct execution<self_attention<W, H, Causal, Axis, Init, OutInit, Bias, Positions>> : no_constants {
  using layer = self_attention<W, H, Causal, Axis, Init, OutInit, Bias, Positions>;
  static constexpr std::size_t out_weight = layer::has_bias ? 2 : 1;

  template <class C>
  static auto forward(operands<layer, C> const& o, input_view<layer, C> x, typename C::compute* y) {
    C const& c = o.context;
    auto const s = sizes(c);
    auto* const qkv_at = o.template kept<1>().data;    // [B, T, 3 C / ranks]
    auto* const heads_at = o.template kept<2>().data;  // [B, T, C / ranks]
    auto const qkv = [&] {
      if constexpr (layer::has_bias)
        return multiply(c, qkv_at, replicate(x), o.template parameter<0>(), o.template parameter<1>(), s.qkv);
      else
        return multiply(c, qkv_at, replicate(x), o.template parameter<0>(), s.qkv);
    }();
    if constexpr (Positions::turns) c.machine.rotary(turn(c, false), qkv.data);
    typename C::compute const* const in = qkv.data;
    c.machine.attention_forward(shape(c), heads_at, o.template kept<3>().data, in, in + s.inner, in + 2 * s.inner, lengths(c));
    auto const heads = heads_of(c, heads_at, qkv, qkv);
    if constexpr (layer::has_bias)
      return multiply_reduced(c, y, heads, o.template parameter<2>(), o.template parameter<3>(), s.out);
    else
      return multiply_reduced(c, y, heads, o.template parameter<1>(), s.out);
  }

  template <class C>
  static auto backward(operands<layer, C> const& o, output_gradient_view<layer, C> dy, typename C::compute* dx) {
    C const& c = o.context;
    using T = typename C::compute;
    using A = typename C::accumulate;
    auto const s = sizes(c);
    auto const x = o.template kept<0>(), qkv = o.template kept<1>(), heads = o.template kept<2>();
    typename scratch_space::frame const frame(c.scratch);
    T* const d_heads_at = o.template scratch<0>();  // [B, T, C / ranks]
    T* const d_qkv_at = o.template scratch<1>();    // [B, T, 3 C / ranks]
    A* const delta = o.template scratch<2>();       // [B, T, H / ranks]
    A* const dq_sum = o.template scratch<3>();      // [B, T, C / ranks]

    add_weight_gradient(c, o.template gradient<out_weight>(), replicate(dy), heads, s.out);
    if constexpr (layer::has_bias) add_row_sum(c, o.template gradient<3>(), dy, s.out.rows, W);
    auto const d_heads = multiply_back(c, d_heads_at, replicate(dy), o.template parameter<out_weight>(), s.out);
    T const* const in = qkv.data;
    c.machine.attention_backward(shape(c), d_qkv_at, d_qkv_at + s.inner, d_qkv_at + 2 * s.inner, dq_sum, delta,
                                 static_cast<T const*>(d_heads.data), static_cast<T const*>(heads.data),
                                 static_cast<A const*>(o.template kept<3>().data), in, in + s.inner, in + 2 * s.inner,
                                 lengths(c));
    if constexpr (Positions::turns) c.machine.rotary(turn(c, true), d_qkv_at);
    auto const d_qkv = product_of(c, d_qkv_at, qkv, d_heads);
    add_weight_gradient(c, o.template gradient<0>(), d_qkv, replicate(x), s.qkv);
    if constexpr (layer::has_bias) add_row_sum(c, o.template gradient<1>(), d_qkv, s.qkv.rows, s.qkv.out);
    return all_reduce(c, multiply_back(c, dx, d_qkv, o.template parameter<0>(), s.qkv), s.qkv.rows * W);
  }

 private:
  struct all_sizes {
    std::size_t inner;  ///< columns of this rank's heads
    dense_sizes qkv, out;
  };
  template <class C>
  static all_sizes sizes(C const& c) {
    std::size_t const inner = c.share(W), rows = c.row_count(Axis);
    return {inner, {rows, 3 * inner, W}, {rows, W, inner}};
  }
  template <class C>
  static attention_shape shape(C const& c) {
    std::size_t const tokens = static_cast<std::size_t>(c.size.tokens_on(Axis)), stride = 3 * c.share(W);
    return {.sequences = static_cast<std::size_t>(c.size.sequences), .heads = c.share(H), .query_tokens = tokens, .key_tokens = tokens,
            .head_width = W / H, .query_stride = stride, .key_stride = stride, .causal = Causal};
  }
  /// q and k stand side by side: their heads are turned as twice as many heads of one tensor.
  template <class C>
  static rotary_shape turn(C const& c, bool back) {
    return {.sequences = static_cast<std::size_t>(c.size.sequences),
            .tokens = static_cast<std::size_t>(c.size.tokens_on(Axis)), .heads = 2 * c.share(H), .head_width = W / H,
            .stride = 3 * c.share(W), .base = Positions::base, .back = back};
  }
  template <class C>
  static std::int32_t const* lengths(C const& c) {
    if constexpr (Causal) return nullptr;
    else return c.feed(layer::lengths::label::view());
  }
};

template <std::size_t W, std::size_t H, class Init>
struct execution<cross_attention<W, H, Init>> : no_constants {
  using layer = cross_attention<W, H, Init>;

  template <class C>
  static auto forward(operands<layer, C> const& o, input_view<layer, C> x, typename C::compute* y) {
    C const& c = o.context;
    auto const s = sizes(c);
    auto const q = multiply(c, o.template kept<1>().data, replicate(x), o.template parameter<0>(), o.template parameter<1>(), s.query);
    auto const kv = multiply(c, o.template kept<2>().data, replicate(memory(c)), o.template parameter<2>(),
                             o.template parameter<3>(), s.key_value);
    auto const heads = heads_of(c, o.template kept<3>().data, q, kv);
    typename C::compute const *const q_in = q.data, *const kv_in = kv.data;
    c.machine.attention_forward(shape(c), heads.data, o.template kept<4>().data, q_in, kv_in, kv_in + s.inner, lengths(c));
    return multiply_reduced(c, y, heads, o.template parameter<4>(), o.template parameter<5>(), s.out);
  }

  template <class C>
  static auto backward(operands<layer, C> const& o, output_gradient_view<layer, C> dy, typename C::compute* dx) {
    C const& c = o.context;
    using T = typename C::compute;
    using A = typename C::accumulate;
    auto const s = sizes(c);
    auto const x = o.template kept<0>(), q = o.template kept<1>(), kv = o.template kept<2>(), heads = o.template kept<3>();
    typename scratch_space::frame const frame(c.scratch);
    T* const d_heads_at = o.template scratch<0>();   // [B, Tt, C / ranks]
    T* const d_q_at = o.template scratch<1>();       // [B, Tt, C / ranks]
    T* const d_kv_at = o.template scratch<2>();      // [B, Ts, 2 C / ranks]
    T* const d_memory_at = o.template scratch<3>();  // [B, Ts, C]
    A* const delta = o.template scratch<4>();        // [B, Tt, H / ranks]
    A* const dq_sum = o.template scratch<5>();       // [B, Tt, C / ranks]

    add_weight_gradient(c, o.template gradient<4>(), replicate(dy), heads, s.out);
    add_row_sum(c, o.template gradient<5>(), dy, s.out.rows, W);
    auto const d_heads = multiply_back(c, d_heads_at, replicate(dy), o.template parameter<4>(), s.out);
    T const* const kv_in = kv.data;
    c.machine.attention_backward(shape(c), d_q_at, d_kv_at, d_kv_at + s.inner, dq_sum, delta,
                                 static_cast<T const*>(d_heads.data), static_cast<T const*>(heads.data),
                                 static_cast<A const*>(o.template kept<4>().data), static_cast<T const*>(q.data), kv_in,
                                 kv_in + s.inner, lengths(c));
    auto const d_q = product_of(c, d_q_at, q, d_heads);
    auto const d_kv = product_of(c, d_kv_at, kv, d_heads);

    add_weight_gradient(c, o.template gradient<2>(), d_kv, replicate(memory(c)), s.key_value);
    add_row_sum(c, o.template gradient<3>(), d_kv, s.key_value.rows, s.key_value.out);
    auto const d_memory = all_reduce(c, multiply_back(c, d_memory_at, d_kv, o.template parameter<2>(), s.key_value),
                                     s.key_value.rows * W);
    add_to_stream(c, c.stream("memory"), memory(c), d_memory, s.key_value.rows * W);

    add_weight_gradient(c, o.template gradient<0>(), d_q, replicate(x), s.query);
    add_row_sum(c, o.template gradient<1>(), d_q, s.query.rows, s.query.out);
    return all_reduce(c, multiply_back(c, dx, d_q, o.template parameter<0>(), s.query), s.query.rows * W);
  }

 private:
  struct all_sizes {
    std::size_t inner;  ///< columns of this rank's heads
    dense_sizes query, key_value, out;
  };
  template <class C>
  static all_sizes sizes(C const& c) {
    std::size_t const inner = c.share(W), rows = c.row_count(axis::target);
    return {inner, {rows, inner, W}, {c.row_count(axis::source), 2 * inner, W}, {rows, W, inner}};
  }
  template <class C>
  static auto memory(C const& c) {
    return view_over<detail::layout_of_message<typename layer::reads>, C::kind>(c.stream("memory").value);
  }
  template <class C>
  static attention_shape shape(C const& c) {
    return {.sequences = static_cast<std::size_t>(c.size.sequences), .heads = c.share(H),
            .query_tokens = static_cast<std::size_t>(c.size.tokens_on(axis::target)),
            .key_tokens = static_cast<std::size_t>(c.size.tokens_on(axis::source)), .head_width = W / H,
            .query_stride = c.share(W), .key_stride = 2 * c.share(W), .causal = false};
  }
  template <class C>
  static std::int32_t const* lengths(C const& c) {
    return c.feed(layer::lengths::label::view());
  }
};

}  // namespace mpx
