/// @file
/// GPUs whose attention cuDNN computes where it can. Link mpx::cudnn; nothing else includes this file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <type_traits>

#include <mpx/backend/operations.hpp>
#include <mpx/core/dtype.hpp>
#include <mpx/cuda/cudnn_attention.hpp>
#include <mpx/cuda/elements.hpp>

namespace mpx::on_cuda {

/// A machine of GPUs that asks cuDNN for attention in bf16 and f16 without lengths and without a bias of scores, and computes
/// the rest itself: also what cuDNN has no plan for. Either may continue what the other began: lse has one layout.
/// Errors  throws mpx::error when cuDNN fails
template <class Machine, class Attention = cudnn_attention>
class cudnn_machine : public Machine {
 public:
  template <class T> using A = accumulator_t<T>;

  explicit cudnn_machine(int ordinal = 0) : Machine(ordinal), attention_(ordinal) {}

  template <class T>
  void attention_forward(attention_shape const& s, T* o, A<T>* lse, T const* q, T const* k, T const* v,
                         std::int32_t const* lengths, score_bias<std::type_identity_t<T>> const& bias = {}) {
    if constexpr (sizeof(T) == 2) {
      cudnn_attention_key const key{s, std::is_same_v<T, f16>, false};
      if (auto const bytes = workspace(key, lengths, bias.weight, {q, k, v, o})) {
        std::size_t const n = s.sequences * s.heads * s.query_tokens;
        float* const stats = this->scratch(apart(n) + in_floats(*bytes));
        this->ask(queued{&attention_, key, {.q = q, .k = k, .v = v, .o = o, .stats = stats}, stats + apart(n)});
        return this->run(swap_axes{lse, stats, s.sequences, s.heads, s.query_tokens});
      }
    }
    Machine::attention_forward(s, o, lse, q, k, v, lengths, bias);
  }
  template <class T>
  void attention_backward(attention_shape const& s, T* dq, T* dk, T* dv, A<T>* dq_sum, A<T>* delta, T const* d_o, T const* o,
                          A<T> const* lse, T const* q, T const* k, T const* v, std::int32_t const* lengths,
                          score_bias<std::type_identity_t<T>> const& bias = {}, A<T>* d_bias = nullptr) {
    if constexpr (sizeof(T) == 2) {
      cudnn_attention_key const key{s, std::is_same_v<T, f16>, true};
      if (auto const bytes = workspace(key, lengths, bias.weight, {q, k, v, o, d_o, dq, dk, dv})) {
        std::size_t const n = s.sequences * s.heads * s.query_tokens;
        float* const stats = this->scratch(2 * apart(n) + in_floats(*bytes));
        this->run(swap_axes{stats, lse, s.sequences, s.query_tokens, s.heads});
        return this->ask(queued{&attention_, key, {.q = q, .k = k, .v = v, .d_o = d_o, .o = const_cast<T*>(o), .dq = dq, .dk = dk,
                                                   .dv = dv, .stats = stats, .delta = stats + apart(n)}, stats + 2 * apart(n)});
      }
    }
    Machine::attention_backward(s, dq, dk, dv, dq_sum, delta, d_o, o, lse, q, k, v, lengths, bias, d_bias);
  }

  [[nodiscard]] Attention& attention() noexcept { return attention_; }

 private:
  struct queued {
    Attention* by;
    cudnn_attention_key key;
    cudnn_attention_operands of;
    float* workspace;
    void operator()() const { by->run(key, of, workspace); }
    friend bool operator==(queued const&, queued const&) = default;
  };

  static constexpr std::size_t alignment = 16;  ///< of operands, in bytes

  /// What cuDNN works in, if it is asked and has a plan. It is not asked for heads that share keys backwards: it would round
  /// the gradient of each before it adds them up.
  std::optional<std::size_t> workspace(cudnn_attention_key const& key, std::int32_t const* lengths, void const* bias,
                                       std::initializer_list<void const*> operands) {
    auto const& s = key.shape;
    bool const any = s.sequences > 0 && s.heads > 0 && s.query_tokens > 0 && s.key_tokens > 0;
    if (!any || lengths != nullptr || bias != nullptr || (key.backward && s.group() > 1)) return {};
    if (s.head_width % 8 != 0 || s.query_stride % 8 != 0 || s.key_stride % 8 != 0) return {};
    for (void const* one : operands)
      if (reinterpret_cast<std::uintptr_t>(one) % alignment != 0) return {};
    return attention_.workspace(key);
  }
  /// Floats up to where the next part of the scratch begins.
  static constexpr std::size_t apart(std::size_t n) { return (n + 63) / 64 * 64; }
  static constexpr std::size_t in_floats(std::size_t bytes) { return (bytes + sizeof(float) - 1) / sizeof(float); }

  Attention attention_;
};

/// A backend of GPUs, with cuDNN's attention.
template <class Backend>
struct with_cudnn : Backend {
  using machine = cudnn_machine<typename Backend::machine>;
};

}  // namespace mpx::on_cuda
