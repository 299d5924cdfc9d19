/// @file
/// Attention at work.
#pragma once

#include <mpx/backend/operations.hpp>
#include <mpx/layer/context.hpp>
#include <mpx/model/attention.hpp>

namespace mpx {

template <std::size_t W, std::size_t H, bool Causal, axis Axis, class Init, class OutInit, class... Options>
struct execution<self_attention<W, H, Causal, Axis, Init, OutInit, Options...>> : no_constants {
  using layer = self_attention<W, H, Causal, Axis, Init, OutInit, Options...>;
  using positions = typename layer::positions;
  static constexpr std::size_t D = layer::head_width;
  static constexpr std::size_t I = layer::inner;
  static constexpr std::size_t out_weight = parameter_offset<layer, layer::has_bias ? 2 : 1>;
  static constexpr relative_buckets buckets = [] {
    if constexpr (layer::is_relative) return relative_buckets(positions::buckets, positions::most_distance, !Causal);
    else return relative_buckets();
  }();

  template <class C, class T>
  static void forward(C const& c, T const* weights, T const*, T const* x, T* y, std::byte* saved) {
    saved_tensors<layer, C> const kept(c, saved);
    T* const qkv = kept.template get<T>(1);     // [B, T, 3HD]
    T* const heads = kept.template get<T>(2);   // [B, T, HD]
    std::size_t const rows = static_cast<std::size_t>(c.rows(Axis));
    T const *qkv_bias = nullptr, *out_bias = nullptr;
    if constexpr (layer::has_bias) {
      qkv_bias = weights + parameter_offset<layer, 1>;
      out_bias = weights + parameter_offset<layer, 3>;
    }
    c.machine.gemm({.m = rows, .n = 3 * I, .k = W, .transpose_b = true}, x, weights, qkv, qkv_bias);
    if constexpr (positions::turns) c.machine.rotary(turn(c, false), qkv);
    c.machine.attention_forward(shape(c), heads, kept.template get<typename C::accumulate>(3), qkv, qkv + I,
                                qkv + 2 * I, lengths(c), score_bias<T>{score_weights(weights), buckets});
    c.machine.gemm({.m = rows, .n = W, .k = I, .transpose_b = true}, heads, weights + out_weight, y, out_bias);
  }

  template <class C, class T, class A>
  static void backward(C const& c, T const* weights, A* gradients, T const*, T const* dy, T* dx, std::byte* saved) {
    saved_tensors<layer, C> const kept(c, saved);
    T const* const x = kept.template get<T const>(0);
    T const* const qkv = kept.template get<T const>(1);
    T const* const heads = kept.template get<T const>(2);
    T const* const none = nullptr;
    std::size_t const rows = static_cast<std::size_t>(c.rows(Axis));
    typename scratch_space::frame const frame(c.scratch);
    T* const d_heads = c.template take<T>(layer::backward_scratch[0]);  // [B, T, HD]
    T* const d_qkv = c.template take<T>(layer::backward_scratch[1]);    // [B, T, 3HD]
    A* const delta = c.template take<A>(layer::backward_scratch[2]);    // [B, T, H]
    A* const dq_sum = c.template take<A>(layer::backward_scratch[3]);   // [B, T, HD]

    c.machine.gemm({.m = W, .n = I, .k = rows, .transpose_a = true, .accumulate = true}, dy, heads,
                   gradients + out_weight, none);
    if constexpr (layer::has_bias) c.machine.column_sum(gradients + parameter_offset<layer, 3>, dy, rows, W);
    c.machine.gemm({.m = rows, .n = I, .k = W}, dy, weights + out_weight, d_heads, none);
    c.machine.attention_backward(shape(c), d_qkv, d_qkv + I, d_qkv + 2 * I, dq_sum, delta, d_heads, heads,
                                 kept.template get<A const>(3), qkv, qkv + I, qkv + 2 * I, lengths(c),
                                 score_bias<T>{score_weights(weights), buckets}, score_weights(gradients));
    if constexpr (positions::turns) c.machine.rotary(turn(c, true), d_qkv);
    c.machine.gemm({.m = 3 * I, .n = W, .k = rows, .transpose_a = true, .accumulate = true}, d_qkv, x, gradients, none);
    if constexpr (layer::has_bias) c.machine.column_sum(gradients + parameter_offset<layer, 1>, d_qkv, rows, 3 * I);
    c.machine.gemm({.m = rows, .n = W, .k = 3 * I}, d_qkv, weights, dx, none);
  }

 private:
  template <class C>
  static attention_shape shape(C const& c) {
    std::size_t const tokens = static_cast<std::size_t>(c.size.tokens_on(Axis));
    return {.sequences = static_cast<std::size_t>(c.size.sequences), .heads = H, .query_tokens = tokens, .key_tokens = tokens,
            .head_width = D, .query_stride = 3 * I, .key_stride = 3 * I, .causal = Causal, .scaled = layer::scaled};
  }
  /// Where the weights of the scores' bias stand; null where the layer has none.
  template <class U>
  static U* score_weights(U* parameters) {
    if constexpr (layer::is_relative) return parameters + parameter_offset<layer, layer::has_bias ? 4 : 2>;
    else return nullptr;
  }
  /// q and k stand side by side: their heads are turned as 2 H heads of one tensor.
  template <class C>
  static rotary_shape turn(C const& c, bool back) {
    return {.sequences = static_cast<std::size_t>(c.size.sequences),
            .tokens = static_cast<std::size_t>(c.size.tokens_on(Axis)), .heads = 2 * H, .head_width = D,
            .stride = 3 * I, .base = positions::base, .back = back};
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
  static constexpr std::size_t D = layer::head_width;
  static constexpr std::size_t I = layer::inner;
  static constexpr std::size_t kv_weight = parameter_offset<layer, layer::has_bias ? 2 : 1>;
  static constexpr std::size_t out_weight = parameter_offset<layer, layer::has_bias ? 4 : 2>;

  template <class C, class T>
  static void forward(C const& c, T const* weights, T const*, T const* x, T* y, std::byte* saved) {
    saved_tensors<layer, C> const kept(c, saved);
    T* const q = kept.template get<T>(1);      // [B, Tt, HD]
    T* const kv = kept.template get<T>(2);     // [B, Ts, 2HD]
    T* const heads = kept.template get<T>(3);  // [B, Tt, HD]
    std::size_t const rows = static_cast<std::size_t>(c.rows(axis::target));
    std::size_t const source_rows = static_cast<std::size_t>(c.rows(axis::source));
    c.machine.gemm({.m = rows, .n = I, .k = W, .transpose_b = true}, x, weights, q, bias<1>(weights));
    c.machine.gemm({.m = source_rows, .n = 2 * I, .k = W, .transpose_b = true}, c.stream("memory").value,
                   weights + kv_weight, kv, bias<3>(weights));
    c.machine.attention_forward(shape(c), heads, kept.template get<typename C::accumulate>(4), q, kv, kv + I,
                                lengths(c), score_bias<T>{});
    c.machine.gemm({.m = rows, .n = W, .k = I, .transpose_b = true}, heads, weights + out_weight, y, bias<5>(weights));
  }

  template <class C, class T, class A>
  static void backward(C const& c, T const* weights, A* gradients, T const*, T const* dy, T* dx, std::byte* saved) {
    saved_tensors<layer, C> const kept(c, saved);
    T const* const x = kept.template get<T const>(0);
    T const* const q = kept.template get<T const>(1);
    T const* const kv = kept.template get<T const>(2);
    T const* const heads = kept.template get<T const>(3);
    T const* const none = nullptr;
    side_stream<T> const& memory = c.stream("memory");
    std::size_t const rows = static_cast<std::size_t>(c.rows(axis::target));
    std::size_t const source_rows = static_cast<std::size_t>(c.rows(axis::source));
    typename scratch_space::frame const frame(c.scratch);
    T* const d_heads = c.template take<T>(layer::backward_scratch[0]);   // [B, Tt, HD]
    T* const d_q = c.template take<T>(layer::backward_scratch[1]);       // [B, Tt, HD]
    T* const d_kv = c.template take<T>(layer::backward_scratch[2]);      // [B, Ts, 2HD]
    T* const d_memory = c.template take<T>(layer::backward_scratch[3]);  // [B, Ts, C]
    A* const delta = c.template take<A>(layer::backward_scratch[4]);     // [B, Tt, H]
    A* const dq_sum = c.template take<A>(layer::backward_scratch[5]);    // [B, Tt, HD]

    c.machine.gemm({.m = W, .n = I, .k = rows, .transpose_a = true, .accumulate = true}, dy, heads,
                   gradients + out_weight, none);
    if constexpr (layer::has_bias) c.machine.column_sum(bias<5>(gradients), dy, rows, W);
    c.machine.gemm({.m = rows, .n = I, .k = W}, dy, weights + out_weight, d_heads, none);
    c.machine.attention_backward(shape(c), d_q, d_kv, d_kv + I, dq_sum, delta, d_heads, heads,
                                 kept.template get<A const>(4), q, kv, kv + I, lengths(c), score_bias<T>{},
                                 static_cast<A*>(nullptr));

    c.machine.gemm({.m = 2 * I, .n = W, .k = source_rows, .transpose_a = true, .accumulate = true}, d_kv, memory.value,
                   gradients + kv_weight, none);
    if constexpr (layer::has_bias) c.machine.column_sum(bias<3>(gradients), d_kv, source_rows, 2 * I);
    c.machine.gemm({.m = source_rows, .n = W, .k = 2 * I}, d_kv, weights + kv_weight, d_memory, none);
    c.machine.add(memory.gradient, d_memory, source_rows * W);

    c.machine.gemm({.m = I, .n = W, .k = rows, .transpose_a = true, .accumulate = true}, d_q, x, gradients, none);
    if constexpr (layer::has_bias) c.machine.column_sum(bias<1>(gradients), d_q, rows, I);
    c.machine.gemm({.m = rows, .n = W, .k = I}, d_q, weights, dx, none);
  }

 private:
  /// Where the bias with this index stands; null where the layer has none.
  template <std::size_t Index, class U>
  static U* bias(U* parameters) {
    if constexpr (layer::has_bias) return parameters + parameter_offset<layer, Index>;
    else return nullptr;
  }
  template <class C>
  static attention_shape shape(C const& c) {
    return {.sequences = static_cast<std::size_t>(c.size.sequences), .heads = H,
            .query_tokens = static_cast<std::size_t>(c.size.tokens_on(axis::target)),
            .key_tokens = static_cast<std::size_t>(c.size.tokens_on(axis::source)), .head_width = D, .query_stride = I,
            .key_stride = 2 * I, .causal = false, .scaled = layer::scaled};
  }
  template <class C>
  static std::int32_t const* lengths(C const& c) {
    return c.feed(layer::lengths::label::view());
  }
};

}  // namespace mpx
