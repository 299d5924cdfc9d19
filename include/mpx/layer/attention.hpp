/// @file
/// Attention at work.
#pragma once

#include <mpx/layer/operations.hpp>
#include <mpx/model/attention.hpp>

namespace mpx {

/// Each tensor rank computes its own heads: q, k and v are slices of the columns, and what the slices of the output
/// projection give is summed.
template <std::size_t W, std::size_t H, bool Causal, axis Axis, class Init, class OutInit, class... Options>
struct execution<self_attention<W, H, Causal, Axis, Init, OutInit, Options...>> : no_constants {
  using layer = self_attention<W, H, Causal, Axis, Init, OutInit, Options...>;
  using positions = typename layer::positions;
  static constexpr std::size_t out_weight = layer::has_bias ? 2 : 1;
  static constexpr std::size_t score_weight = layer::has_bias ? 4 : 2;
  static constexpr relative_buckets buckets = [] {
    if constexpr (layer::is_relative) return relative_buckets(positions::buckets, positions::most_distance, !Causal);
    else return relative_buckets();
  }();

  template <class C>
  static auto forward(operands<layer, C> const& o, input_view<layer, C> x, typename C::compute* y) {
    C const& c = o.context;
    auto const s = sizes(c);
    auto* const qkv_at = o.template kept<1>().data;    // [B, T, 3 H D / ranks]
    auto* const heads_at = o.template kept<2>().data;  // [B, T, H D / ranks]
    auto const qkv = [&] {
      if constexpr (layer::has_bias)
        return multiply(c, qkv_at, replicate(x), o.template parameter<0>(), o.template parameter<1>(), s.qkv);
      else
        return multiply(c, qkv_at, replicate(x), o.template parameter<0>(), s.qkv);
    }();
    if constexpr (positions::turns) c.machine.rotary(turn(c, false), qkv.data);
    typename C::compute const* const in = qkv.data;
    auto const heads = attended_of(c, heads_at, qkv, qkv);
    c.machine.attention_forward(shape(c), heads_at, o.template kept<3>().data, in, in + s.inner, in + 2 * s.inner,
                                lengths(c), score_bias_for(o, heads));
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
    auto const x = o.template kept<0>();
    auto const qkv = o.template kept<1>();
    auto const heads = o.template kept<2>();
    typename scratch_space::frame const frame(c.scratch);
    T* const d_heads_at = o.template scratch<0>();  // [B, T, H D / ranks]
    T* const d_qkv_at = o.template scratch<1>();    // [B, T, 3 H D / ranks]
    A* const delta = o.template scratch<2>();       // [B, T, H / ranks]
    A* const dq_sum = o.template scratch<3>();      // [B, T, H D / ranks]

    add_weight_gradient(c, o.template gradient<out_weight>(), replicate(dy), heads, s.out);
    if constexpr (layer::has_bias) add_row_sum(c, o.template gradient<3>(), dy, s.out.rows, W);
    auto const d_heads = multiply_back(c, d_heads_at, replicate(dy), o.template parameter<out_weight>(), s.out);
    A* score_gradient = nullptr;
    if constexpr (layer::is_relative) score_gradient = look_up_into(o.template gradient<score_weight>(), d_heads);
    T const* const in = qkv.data;
    c.machine.attention_backward(shape(c), d_qkv_at, d_qkv_at + s.inner, d_qkv_at + 2 * s.inner, dq_sum, delta,
                                 static_cast<T const*>(d_heads.data), static_cast<T const*>(heads.data),
                                 static_cast<A const*>(o.template kept<3>().data), in, in + s.inner, in + 2 * s.inner,
                                 lengths(c), score_bias_for(o, heads), score_gradient);
    if constexpr (positions::turns) c.machine.rotary(turn(c, true), d_qkv_at);
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
    std::size_t const inner = c.share(layer::inner), rows = c.row_count(Axis);
    return {inner, {rows, 3 * inner, W}, {rows, W, inner}};
  }
  template <class C>
  static attention_shape shape(C const& c) {
    std::size_t const tokens = static_cast<std::size_t>(c.size.tokens_on(Axis)), stride = 3 * c.share(layer::inner);
    return {.sequences = static_cast<std::size_t>(c.size.sequences), .heads = c.share(H), .query_tokens = tokens,
            .key_tokens = tokens, .head_width = layer::head_width, .query_stride = stride, .key_stride = stride,
            .causal = Causal, .scaled = layer::scaled};
  }
  /// The weights of the scores' bias, of this rank's heads; none where the layer has none.
  template <class C, view Heads>
  static score_bias<typename C::compute> score_bias_for(operands<layer, C> const& o, [[maybe_unused]] Heads heads) {
    if constexpr (layer::is_relative) return {score_bias_of(heads, o.template parameter<score_weight>()), buckets};
    else return {nullptr, buckets};
  }
  /// q and k stand side by side: their heads are turned as twice as many heads of one tensor.
  template <class C>
  static rotary_shape turn(C const& c, bool back) {
    return {.sequences = static_cast<std::size_t>(c.size.sequences),
            .tokens = static_cast<std::size_t>(c.size.tokens_on(Axis)), .heads = 2 * c.share(H),
            .head_width = layer::head_width, .stride = 3 * c.share(layer::inner), .base = positions::base, .back = back};
  }
  template <class C>
  static std::int32_t const* lengths(C const& c) {
    if constexpr (Causal) return nullptr;
    else return c.feed(layer::lengths::label::view());
  }
};

template <std::size_t W, std::size_t H, class Init, class... Options>
struct execution<cross_attention<W, H, Init, Options...>> : no_constants {
  using layer = cross_attention<W, H, Init, Options...>;
  // Where each weight stands among the parameters; its bias, where there is one, stands behind it.
  static constexpr std::size_t query = 0, key_value = layer::has_bias ? 2 : 1, out = layer::has_bias ? 4 : 2;

  template <class C>
  static auto forward(operands<layer, C> const& o, input_view<layer, C> x, typename C::compute* y) {
    C const& c = o.context;
    auto const s = sizes(c);
    auto const q = project<query>(o, o.template kept<1>().data, replicate(x), s.query);
    auto const kv = project<key_value>(o, o.template kept<2>().data, replicate(memory(c)), s.key_value);
    auto const heads = attended_of(c, o.template kept<3>().data, q, kv);
    typename C::compute const *const q_in = q.data, *const kv_in = kv.data;
    c.machine.attention_forward(shape(c), heads.data, o.template kept<4>().data, q_in, kv_in, kv_in + s.inner, lengths(c),
                                score_bias<typename C::compute>{});
    if constexpr (layer::has_bias)
      return multiply_reduced(c, y, heads, o.template parameter<out>(), o.template parameter<out + 1>(), s.out);
    else
      return multiply_reduced(c, y, heads, o.template parameter<out>(), s.out);
  }

  template <class C>
  static auto backward(operands<layer, C> const& o, output_gradient_view<layer, C> dy, typename C::compute* dx) {
    C const& c = o.context;
    using T = typename C::compute;
    using A = typename C::accumulate;
    auto const s = sizes(c);
    auto const x = o.template kept<0>();
    auto const q = o.template kept<1>();
    auto const kv = o.template kept<2>();
    auto const heads = o.template kept<3>();
    typename scratch_space::frame const frame(c.scratch);
    T* const d_heads_at = o.template scratch<0>();   // [B, Tt, H D / ranks]
    T* const d_q_at = o.template scratch<1>();       // [B, Tt, H D / ranks]
    T* const d_kv_at = o.template scratch<2>();      // [B, Ts, 2 H D / ranks]
    T* const d_memory_at = o.template scratch<3>();  // [B, Ts, C]
    A* const delta = o.template scratch<4>();        // [B, Tt, H / ranks]
    A* const dq_sum = o.template scratch<5>();       // [B, Tt, H D / ranks]

    add_weight_gradient(c, o.template gradient<out>(), replicate(dy), heads, s.out);
    if constexpr (layer::has_bias) add_row_sum(c, o.template gradient<out + 1>(), dy, s.out.rows, W);
    auto const d_heads = multiply_back(c, d_heads_at, replicate(dy), o.template parameter<out>(), s.out);
    T const* const kv_in = kv.data;
    c.machine.attention_backward(shape(c), d_q_at, d_kv_at, d_kv_at + s.inner, dq_sum, delta,
                                 static_cast<T const*>(d_heads.data), static_cast<T const*>(heads.data),
                                 static_cast<A const*>(o.template kept<4>().data), static_cast<T const*>(q.data), kv_in,
                                 kv_in + s.inner, lengths(c), score_bias<T>{}, static_cast<A*>(nullptr));
    auto const d_q = product_of(c, d_q_at, q, d_heads);
    auto const d_kv = product_of(c, d_kv_at, kv, d_heads);

    add_gradients<key_value>(o, d_kv, replicate(memory(c)), s.key_value);
    auto const d_memory = all_reduce(c, multiply_back(c, d_memory_at, d_kv, o.template parameter<key_value>(), s.key_value),
                                     s.key_value.rows * W);
    add(c, view_over<gradient_layout(decltype(memory(c))::mesh_layout), C::kind>(c.stream("memory").gradient), d_memory,
        s.key_value.rows * W);

    add_gradients<query>(o, d_q, replicate(x), s.query);
    return all_reduce(c, multiply_back(c, dx, d_q, o.template parameter<query>(), s.query), s.query.rows * W);
  }

 private:
  struct all_sizes {
    std::size_t inner;  ///< columns of this rank's heads
    dense_sizes query, key_value, out;
  };
  template <class C>
  static all_sizes sizes(C const& c) {
    std::size_t const inner = c.share(layer::inner), rows = c.row_count(axis::target);
    return {inner, {rows, inner, W}, {c.row_count(axis::source), 2 * inner, W}, {rows, W, inner}};
  }
  template <std::size_t I, class C, view X>
  static auto project(operands<layer, C> const& o, typename C::compute* y, X x, dense_sizes s) {
    if constexpr (layer::has_bias) return multiply(o.context, y, x, o.template parameter<I>(), o.template parameter<I + 1>(), s);
    else return multiply(o.context, y, x, o.template parameter<I>(), s);
  }
  template <std::size_t I, class C, view DY, view X>
  static void add_gradients(operands<layer, C> const& o, DY dy, X x, dense_sizes s) {
    add_weight_gradient(o.context, o.template gradient<I>(), dy, x, s);
    if constexpr (layer::has_bias) add_row_sum(o.context, o.template gradient<I + 1>(), dy, s.rows, s.out);
  }
  template <class C>
  static auto memory(C const& c) {
    return view_over<detail::layout_of_message<typename layer::reads>, C::kind>(c.stream("memory").value);
  }
  template <class C>
  static attention_shape shape(C const& c) {
    return {.sequences = static_cast<std::size_t>(c.size.sequences), .heads = c.share(H),
            .query_tokens = static_cast<std::size_t>(c.size.tokens_on(axis::target)),
            .key_tokens = static_cast<std::size_t>(c.size.tokens_on(axis::source)), .head_width = layer::head_width,
            .query_stride = c.share(layer::inner), .key_stride = 2 * c.share(layer::inner), .causal = false,
            .scaled = layer::scaled};
  }
  template <class C>
  static std::int32_t const* lengths(C const& c) {
    return c.feed(layer::lengths::label::view());
  }
};

}  // namespace mpx
