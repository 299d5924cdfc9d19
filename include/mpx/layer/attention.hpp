/// @file
/// Attention at work.
#pragma once

#include <mpx/backend/operations.hpp>
#include <mpx/layer/context.hpp>
#include <mpx/model/attention.hpp>

namespace mpx {

template <std::size_t W, std::size_t H, bool Causal, axis Axis, class Init, class OutInit, class Bias, class Positions>
struct execution<self_attention<W, H, Causal, Axis, Init, OutInit, Bias, Positions>> : no_constants {
  using layer = self_attention<W, H, Causal, Axis, Init, OutInit, Bias, Positions>;
  static constexpr std::size_t out_weight = parameter_offset<layer, layer::has_bias ? 2 : 1>;

  template <class C, class T>
  static void forward(C const& c, T const* weights, T const*, T const* x, T* y, std::byte* saved) {
    saved_tensors<layer, C> const kept(c, saved);
    T* const qkv = kept.template get<T>(1);     // [B, T, 3C]
    T* const heads = kept.template get<T>(2);   // [B, T, C]
    std::size_t const rows = static_cast<std::size_t>(c.rows(Axis));
    T const *qkv_bias = nullptr, *out_bias = nullptr;
    if constexpr (layer::has_bias) {
      qkv_bias = weights + parameter_offset<layer, 1>;
      out_bias = weights + parameter_offset<layer, 3>;
    }
    c.machine.gemm({.m = rows, .n = 3 * W, .k = W, .transpose_b = true}, x, weights, qkv, qkv_bias);
    if constexpr (Positions::turns) c.machine.rotary(turn(c, false), qkv);
    c.machine.attention_forward(shape(c), heads, kept.template get<typename C::accumulate>(3), qkv, qkv + W, qkv + 2 * W,
                                lengths(c));
    c.machine.gemm({.m = rows, .n = W, .k = W, .transpose_b = true}, heads, weights + out_weight, y, out_bias);
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
    T* const d_heads = c.template take<T>(layer::backward_scratch[0]);  // [B, T, C]
    T* const d_qkv = c.template take<T>(layer::backward_scratch[1]);    // [B, T, 3C]
    A* const delta = c.template take<A>(layer::backward_scratch[2]);    // [B, T, H]
    A* const dq_sum = c.template take<A>(layer::backward_scratch[3]);   // [B, T, C]

    c.machine.gemm({.m = W, .n = W, .k = rows, .transpose_a = true, .accumulate = true}, dy, heads, gradients + out_weight, none);
    if constexpr (layer::has_bias) c.machine.column_sum(gradients + parameter_offset<layer, 3>, dy, rows, W);
    c.machine.gemm({.m = rows, .n = W, .k = W}, dy, weights + out_weight, d_heads, none);
    c.machine.attention_backward(shape(c), d_qkv, d_qkv + W, d_qkv + 2 * W, dq_sum, delta, d_heads, heads,
                                 kept.template get<A const>(3), qkv, qkv + W, qkv + 2 * W, lengths(c));
    if constexpr (Positions::turns) c.machine.rotary(turn(c, true), d_qkv);
    c.machine.gemm({.m = 3 * W, .n = W, .k = rows, .transpose_a = true, .accumulate = true}, d_qkv, x, gradients, none);
    if constexpr (layer::has_bias) c.machine.column_sum(gradients + parameter_offset<layer, 1>, d_qkv, rows, 3 * W);
    c.machine.gemm({.m = rows, .n = W, .k = 3 * W}, d_qkv, weights, dx, none);
  }

 private:
  template <class C>
  static attention_shape shape(C const& c) {
    std::size_t const tokens = static_cast<std::size_t>(c.size.tokens_on(Axis));
    return {.sequences = static_cast<std::size_t>(c.size.sequences), .heads = H, .query_tokens = tokens, .key_tokens = tokens,
            .head_width = W / H, .query_stride = 3 * W, .key_stride = 3 * W, .causal = Causal};
  }
  /// q and k stand side by side: their heads are turned as 2 H heads of one tensor.
  template <class C>
  static rotary_shape turn(C const& c, bool back) {
    return {.sequences = static_cast<std::size_t>(c.size.sequences),
            .tokens = static_cast<std::size_t>(c.size.tokens_on(Axis)), .heads = 2 * H, .head_width = W / H, .stride = 3 * W, .base = Positions::base, .back = back};
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
  static constexpr std::size_t query_bias = parameter_offset<layer, 1>;
  static constexpr std::size_t kv_weight = parameter_offset<layer, 2>;
  static constexpr std::size_t kv_bias = parameter_offset<layer, 3>;
  static constexpr std::size_t out_weight = parameter_offset<layer, 4>;
  static constexpr std::size_t out_bias = parameter_offset<layer, 5>;

  template <class C, class T>
  static void forward(C const& c, T const* weights, T const*, T const* x, T* y, std::byte* saved) {
    saved_tensors<layer, C> const kept(c, saved);
    T* const q = kept.template get<T>(1);      // [B, Tt, C]
    T* const kv = kept.template get<T>(2);     // [B, Ts, 2C]
    T* const heads = kept.template get<T>(3);  // [B, Tt, C]
    std::size_t const rows = static_cast<std::size_t>(c.rows(axis::target));
    std::size_t const source_rows = static_cast<std::size_t>(c.rows(axis::source));
    c.machine.gemm({.m = rows, .n = W, .k = W, .transpose_b = true}, x, weights, q, weights + query_bias);
    c.machine.gemm({.m = source_rows, .n = 2 * W, .k = W, .transpose_b = true}, c.stream("memory").value,
                   weights + kv_weight, kv, weights + kv_bias);
    c.machine.attention_forward(shape(c), heads, kept.template get<typename C::accumulate>(4), q, kv, kv + W, lengths(c));
    c.machine.gemm({.m = rows, .n = W, .k = W, .transpose_b = true}, heads, weights + out_weight, y, weights + out_bias);
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
    T* const d_heads = c.template take<T>(layer::backward_scratch[0]);   // [B, Tt, C]
    T* const d_q = c.template take<T>(layer::backward_scratch[1]);       // [B, Tt, C]
    T* const d_kv = c.template take<T>(layer::backward_scratch[2]);      // [B, Ts, 2C]
    T* const d_memory = c.template take<T>(layer::backward_scratch[3]);  // [B, Ts, C]
    A* const delta = c.template take<A>(layer::backward_scratch[4]);     // [B, Tt, H]
    A* const dq_sum = c.template take<A>(layer::backward_scratch[5]);    // [B, Tt, C]

    c.machine.gemm({.m = W, .n = W, .k = rows, .transpose_a = true, .accumulate = true}, dy, heads, gradients + out_weight, none);
    c.machine.column_sum(gradients + out_bias, dy, rows, W);
    c.machine.gemm({.m = rows, .n = W, .k = W}, dy, weights + out_weight, d_heads, none);
    c.machine.attention_backward(shape(c), d_q, d_kv, d_kv + W, dq_sum, delta, d_heads, heads, kept.template get<A const>(4),
                                 q, kv, kv + W, lengths(c));

    c.machine.gemm({.m = 2 * W, .n = W, .k = source_rows, .transpose_a = true, .accumulate = true}, d_kv, memory.value,
                   gradients + kv_weight, none);
    c.machine.column_sum(gradients + kv_bias, d_kv, source_rows, 2 * W);
    c.machine.gemm({.m = source_rows, .n = W, .k = 2 * W}, d_kv, weights + kv_weight, d_memory, none);
    c.machine.add(memory.gradient, d_memory, source_rows * W);

    c.machine.gemm({.m = W, .n = W, .k = rows, .transpose_a = true, .accumulate = true}, d_q, x, gradients, none);
    c.machine.column_sum(gradients + query_bias, d_q, rows, W);
    c.machine.gemm({.m = rows, .n = W, .k = W}, d_q, weights, dx, none);
  }

 private:
  template <class C>
  static attention_shape shape(C const& c) {
    return {.sequences = static_cast<std::size_t>(c.size.sequences), .heads = H,
            .query_tokens = static_cast<std::size_t>(c.size.tokens_on(axis::target)),
            .key_tokens = static_cast<std::size_t>(c.size.tokens_on(axis::source)), .head_width = W / H, .query_stride = W,
            .key_stride = 2 * W, .causal = false};
  }
  template <class C>
  static std::int32_t const* lengths(C const& c) {
    return c.feed(layer::lengths::label::view());
  }
};

}  // namespace mpx
