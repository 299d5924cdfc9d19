/// @file
/// Attention at work.
#pragma once

#include <utility>

#include <mpx/layer/operations.hpp>
#include <mpx/model/attention.hpp>

namespace mpx {

namespace detail {

/// A dense product inside an attention; its I-th weight, and the bias behind it where there is one.
template <std::size_t I, class L, class C, view X>
auto project(operands<L, C> const& o, typename C::compute* y, X x, dense_sizes s) {
  if constexpr (L::has_bias) return multiply(o.context, y, x, o.template parameter<I>(), o.template parameter<I + 1>(), s);
  else return multiply(o.context, y, x, o.template parameter<I>(), s);
}
template <std::size_t I, class L, class C, view X>
auto project_reduced(operands<L, C> const& o, typename C::compute* y, X x, dense_sizes s) {
  if constexpr (L::has_bias)
    return multiply_reduced(o.context, y, x, o.template parameter<I>(), o.template parameter<I + 1>(), s);
  else return multiply_reduced(o.context, y, x, o.template parameter<I>(), s);
}
template <std::size_t I, class L, class C, view All, view DY, view X>
void add_projection_gradients(operands<L, C> const& o, All all_dy, DY dy, X x, dense_sizes s) {
  auto const dw = o.template gradient<I>();
  if constexpr (L::has_bias) add_dense_gradients(o.context, dw, o.template gradient<I + 1>(), all_dy, dy, x, s);
  else add_weight_gradient(o.context, dw, all_dy, x, s);
}

}  // namespace detail

/// Each tensor rank computes its own heads: q, k and v are slices of the columns, and what the slices of the output
/// projection give is summed. Where heads share keys and values, q is one tensor and k and v are another.
template <std::size_t W, std::size_t H, bool Causal, axis Axis, class Init, class OutInit, class... Options>
struct execution<self_attention<W, H, Causal, Axis, Init, OutInit, Options...>> : no_constants {
  using layer = self_attention<W, H, Causal, Axis, Init, OutInit, Options...>;
  using positions = typename layer::positions;
  static constexpr bool grouped = layer::grouped;
  // Where each weight stands among the parameters; its bias, where there is one, stands behind it.
  static constexpr std::size_t each = layer::has_bias ? 2 : 1;
  static constexpr std::size_t first = 0, key_value = each, out = grouped ? 2 * each : each, score = out + each;
  // Where the heads' output stands among what is kept, and the softmax's sums behind it.
  static constexpr std::size_t output = grouped ? 3 : 2;
  static constexpr relative_buckets buckets = [] {
    if constexpr (layer::is_relative) return relative_buckets(positions::buckets, positions::most_distance, !Causal);
    else return relative_buckets();
  }();

  template <class C>
  static auto forward(operands<layer, C> const& o, input_view<layer, C> x, typename C::compute* y) {
    using T = typename C::compute;
    C const& c = o.context;
    auto const s = sizes(c);
    auto const [q, kv] = with_all_rows(c, x, Axis, W, [&](auto all) {
      auto const first_of = detail::project<first>(o, o.template kept<1>().data, all, s.first);  // q, or qkv
      if constexpr (grouped)
        return std::pair(first_of, detail::project<key_value>(o, o.template kept<2>().data, all, s.key_value));
      else return std::pair(first_of, first_of);
    });
    turn(c, q.data, kv.data, false);
    auto const heads = attended_of(c, o.template kept<output>().data, q, kv);
    T const *const q_in = q.data, *const k_in = keys(c, kv.data);
    c.machine.attention_forward(shape(c), heads.data, o.template kept<output + 1>().data, q_in, k_in, k_in + s.keys, lengths(c),
                                score_bias_for(o, heads));
    return detail::project_reduced<out>(o, y, heads, s.out);
  }

  template <class C>
  static auto backward(operands<layer, C> const& o, output_gradient_view<layer, C> dy, typename C::compute* dx) {
    C const& c = o.context;
    using T = typename C::compute;
    using A = typename C::accumulate;
    auto const s = sizes(c);
    auto const x = o.template kept<0>();
    auto const q = o.template kept<1>();
    auto const kv = o.template kept<grouped ? 2 : 1>();
    auto const heads = o.template kept<output>();
    typename scratch_space::frame const frame(c.scratch);
    T* const d_q_at = o.template deferred<0>();  // [B, T, H D / ranks]; or of qkv: [B, T, 3 H D / ranks]
    T* d_kv_at = d_q_at;
    if constexpr (grouped) d_kv_at = o.template deferred<1>();  // [B, T, 2 N D / ranks]
    A* scores_at = nullptr;
    if constexpr (layer::is_relative) scores_at = o.template deferred<grouped ? 2 : 1>();  // [buckets, H / ranks]
    T* const d_heads_at = dx ? o.template scratch<0>() : nullptr;  // [B, T, H D / ranks]

    auto const d_heads = with_all_rows(c, dy, Axis, W, [&](auto all) {
      detail::add_projection_gradients<out>(o, all, dy, heads, s.out);
      return multiply_back(c, d_heads_at, all, o.template parameter<out>(), s.out);
    });
    if (dx) {
      A* const delta = o.template scratch<1>();   // [B, T, H / ranks]
      A* const dq_sum = o.template scratch<2>();  // [B, T, H D / ranks]
      if constexpr (layer::is_relative) c.machine.zero(scores_at, score_count(c) * sizeof(A));
      T const *const q_in = q.data, *const k_in = keys(c, kv.data);
      T* const d_k_at = keys(c, d_kv_at);
      c.machine.attention_backward(shape(c), d_q_at, d_k_at, d_k_at + s.keys, dq_sum, delta,
                                   static_cast<T const*>(d_heads.data), static_cast<T const*>(heads.data),
                                   static_cast<A const*>(o.template kept<output + 1>().data), q_in, k_in, k_in + s.keys,
                                   lengths(c), score_bias_for(o, heads), scores_at);
      turn(c, d_q_at, d_kv_at, true);
    }
    if constexpr (layer::is_relative)
      if (A* const gradient = look_up_into(o.template gradient<score>(), d_heads))
        c.machine.add(gradient, scores_at, score_count(c));
    auto const d_q = product_of(c, d_q_at, q, d_heads);
    auto const d_kv = product_of(c, d_kv_at, kv, d_heads);
    if (o.gradients)
      with_all_rows(c, x, Axis, W, [&](auto all) {
        detail::add_projection_gradients<first>(o, d_q, d_q, all, s.first);
        if constexpr (grouped) detail::add_projection_gradients<key_value>(o, d_kv, d_kv, all, s.key_value);
      });
    return reduced(c, dx, Axis, W, [&](T* at) {
      auto const part = multiply_back(c, at, d_q, o.template parameter<first>(), s.first);
      if constexpr (grouped) add_multiplied_back(c, part, d_kv, o.template parameter<key_value>(), s.key_value);
      return part;
    });
  }

 private:
  struct all_sizes {
    std::size_t keys;  ///< columns of this rank's keys
    dense_sizes first, key_value, out;
  };
  template <class C>
  static all_sizes sizes(C const& c) {
    std::size_t const inner = c.share(layer::inner), keys = c.share(layer::key_value_inner);
    std::size_t const rows = c.row_count(Axis, spread::sharded_1);
    return {keys, {rows, grouped ? inner : 3 * inner, W, Axis}, {rows, 2 * keys, W, Axis}, {rows, W, inner, Axis}};
  }
  /// Elements from one token of q to the next, and of k and v: one tensor holds all three, or two do.
  template <class C>
  static std::size_t query_stride(C const& c) {
    return (grouped ? 1 : 3) * c.share(layer::inner);
  }
  template <class C>
  static std::size_t key_stride(C const& c) {
    return (grouped ? 2 : 3) * c.share(layer::key_value_inner);
  }
  /// The first key: behind q, or where k and v begin.
  template <class C, class T>
  static T* keys(C const& c, T* kv) {
    return grouped ? kv : kv + c.share(layer::inner);
  }
  template <class C>
  static attention_shape shape(C const& c) {
    std::size_t const tokens = static_cast<std::size_t>(c.size.tokens_on(Axis));
    return {.sequences = static_cast<std::size_t>(c.size.sequences), .heads = c.share(H), .query_tokens = tokens,
            .key_tokens = tokens, .head_width = layer::head_width, .query_stride = query_stride(c),
            .key_stride = key_stride(c), .causal = Causal, .scaled = layer::scaled,
            .key_value_heads = c.share(layer::key_value_heads)};
  }
  /// The weights of the scores' bias, of this rank's heads; none where the layer has none.
  template <class C, view Heads>
  static score_bias<typename C::compute> score_bias_for(operands<layer, C> const& o, [[maybe_unused]] Heads heads) {
    if constexpr (layer::is_relative) return {score_bias_of(heads, o.template parameter<score>()), buckets};
    else return {nullptr, buckets};
  }
  /// This rank's elements of the table that the scores' bias is looked up in.
  template <class C>
  static std::size_t score_count(C const& c) {
    return positions::buckets * c.share(H);
  }
  /// Turns q and k by their tokens' positions, or back. Side by side they are turned as twice as many heads of one tensor.
  template <class C, class T>
  static void turn([[maybe_unused]] C const& c, [[maybe_unused]] T* q, [[maybe_unused]] T* kv, [[maybe_unused]] bool back) {
    if constexpr (positions::turns) {
      auto const of = [&](std::size_t heads, std::size_t stride) {
        return rotary_shape{.sequences = static_cast<std::size_t>(c.size.sequences),
                            .tokens = static_cast<std::size_t>(c.size.tokens_on(Axis)), .heads = heads,
                            .head_width = layer::head_width, .stride = stride, .base = positions::base, .back = back};
      };
      c.machine.rotary(of((grouped ? 1 : 2) * c.share(H), query_stride(c)), q);
      if constexpr (grouped) c.machine.rotary(of(c.share(layer::key_value_heads), key_stride(c)), kv);
    }
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
    auto const q = with_all_rows(c, x, axis::target, W, [&](auto all) {
      return detail::project<query>(o, o.template kept<1>().data, all, s.query);
    });
    auto const kv = with_all_rows(c, memory(c), axis::source, W, [&](auto all) {
      return detail::project<key_value>(o, o.template kept<2>().data, all, s.key_value);
    });
    auto const heads = attended_of(c, o.template kept<3>().data, q, kv);
    typename C::compute const *const q_in = q.data, *const kv_in = kv.data;
    c.machine.attention_forward(shape(c), heads.data, o.template kept<4>().data, q_in, kv_in, kv_in + s.inner, lengths(c),
                                score_bias<typename C::compute>{});
    return detail::project_reduced<out>(o, y, heads, s.out);
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
    T* const d_q_at = o.template deferred<0>();                     // [B, Tt, H D / ranks]
    T* const d_kv_at = o.template deferred<1>();                    // [B, Ts, 2 H D / ranks]
    T* const d_heads_at = dx ? o.template scratch<0>() : nullptr;   // [B, Tt, H D / ranks]
    T* const d_memory_at = dx ? o.template scratch<1>() : nullptr;  // [B, Ts, C], or this rank's rows of it

    auto const d_heads = with_all_rows(c, dy, axis::target, W, [&](auto all) {
      detail::add_projection_gradients<out>(o, all, dy, heads, s.out);
      return multiply_back(c, d_heads_at, all, o.template parameter<out>(), s.out);
    });
    if (dx) {
      A* const delta = o.template scratch<2>();   // [B, Tt, H / ranks]
      A* const dq_sum = o.template scratch<3>();  // [B, Tt, H D / ranks]
      T const* const kv_in = kv.data;
      c.machine.attention_backward(shape(c), d_q_at, d_kv_at, d_kv_at + s.inner, dq_sum, delta,
                                   static_cast<T const*>(d_heads.data), static_cast<T const*>(heads.data),
                                   static_cast<A const*>(o.template kept<4>().data), static_cast<T const*>(q.data), kv_in,
                                   kv_in + s.inner, lengths(c), score_bias<T>{}, static_cast<A*>(nullptr));
    }
    auto const d_q = product_of(c, d_q_at, q, d_heads);
    auto const d_kv = product_of(c, d_kv_at, kv, d_heads);

    if (o.gradients)
      with_all_rows(c, memory(c), axis::source, W,
                    [&](auto all) { detail::add_projection_gradients<key_value>(o, d_kv, d_kv, all, s.key_value); });
    auto const d_memory = reduced(c, d_memory_at, axis::source, W, [&](T* at) {
      return multiply_back(c, at, d_kv, o.template parameter<key_value>(), s.key_value);
    });
    if (dx)
      add(c, view_over<gradient_layout(decltype(memory(c))::mesh_layout), C::kind>(c.stream("memory").gradient), d_memory,
          c.row_count(axis::source, d_memory) * W);

    if (o.gradients)
      with_all_rows(c, x, axis::target, W, [&](auto all) { detail::add_projection_gradients<query>(o, d_q, d_q, all, s.query); });
    return reduced(c, dx, axis::target, W,
                   [&](T* at) { return multiply_back(c, at, d_q, o.template parameter<query>(), s.query); });
  }

 private:
  struct all_sizes {
    std::size_t inner;  ///< columns of this rank's heads
    dense_sizes query, key_value, out;
  };
  template <class C>
  static all_sizes sizes(C const& c) {
    std::size_t const inner = c.share(layer::inner), rows = c.row_count(axis::target, spread::sharded_1);
    return {inner, {rows, inner, W}, {c.row_count(axis::source, spread::sharded_1), 2 * inner, W, axis::source}, {rows, W, inner}};
  }
  template <class C>
  static auto memory(C const& c) {
    return view_over<detail::layout_of_message<typename layer::reads, C>, C::kind>(c.stream("memory").value);
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
