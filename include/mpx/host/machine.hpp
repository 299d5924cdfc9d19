/// @file
/// The host device that executes a model's operations: one thread, its oneDNN primitives and its workspace.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <mpx/backend/operations.hpp>
#include <mpx/core/device.hpp>
#include <mpx/core/dtype.hpp>
#include <mpx/host/attention.hpp>
#include <mpx/host/gemm.hpp>
#include <mpx/host/rows.hpp>

namespace mpx::on_host {

/// All operations of a layer, on one core. Everything else is in row_operations.
/// Errors  throws mpx::error when oneDNN fails, or when a head is wider than most_head_width
class machine : public row_operations {
 public:
  static constexpr device_kind kind = device_kind::host;

  /// c[m,n] = (accumulate ? c : 0) + op(a)[m,k] op(b)[k,n] + (bias ? bias[n] : 0), summed in f32, rounded once.
  /// Shapes  a: [m,k], or [k,m] when transposed; b: [k,n], or [n,k] when transposed; a bias only without accumulate
  template <class T, class U>
  void gemm(gemm_shape const& s, T const* a, T const* b, U* c, T const* bias) {
    multiply_(s, a, b, c, bias);
  }

  /// o = softmax(q k^T / sqrt(D) + bias) v; see host/attention.hpp.
  template <class T>
  void attention_forward(attention_shape const& s, T* o, accumulator_t<T>* lse, T const* q, T const* k, T const* v,
                         std::int32_t const* lengths, score_bias<std::type_identity_t<T>> const& bias = {}) {
    on_host::attention_forward(s, o, lse, q, k, v, lengths, bias);
  }

  /// dq, dk, dv from d_o, and what is added to the bias's gradient; see host/attention.hpp.
  template <class T>
  void attention_backward(attention_shape const& s, T* dq, T* dk, T* dv, accumulator_t<T>* dq_sum,
                          accumulator_t<T>* delta, T const* d_o, T const* o, accumulator_t<T> const* lse, T const* q,
                          T const* k, T const* v, std::int32_t const* lengths,
                          score_bias<std::type_identity_t<T>> const& bias = {}, accumulator_t<T>* d_bias = nullptr) {
    on_host::attention_backward(s, dq, dk, dv, dq_sum, delta, d_o, o, lse, q, k, v, lengths, bias, d_bias);
  }

  /// to[i] = float(from[i])
  template <class T>
  void widen(float* to, T const* from, std::size_t n) {
    convert(to, from, n);
  }

  /// to[i] = id
  void fill_ids(std::int32_t* to, std::int32_t id, std::size_t n) { std::fill(to, to + n, id); }

  /// sums[p * stride] += the sum of x[i]^2 over the p-th `portion` elements
  /// Shapes  sums: [ceil(n / portion)] numbers, `stride` apart; x: [n]
  template <class Sum>
  void add_squares(Sum* sums, std::size_t stride, Sum const* x, std::size_t n, std::size_t portion) {
    for (std::size_t i = 0; i < n; i += portion, sums += stride) *sums += sum_of_squares(x + i, std::min(portion, n - i));
  }

  /// to[s] = float(x[s, lengths[s] - 1]): the row of each sequence's last token
  /// Shapes  to: [sequences] rows of `stride` elements, x: [sequences, tokens, width], lengths: [sequences]
  template <class T>
  void last_rows(float* to, std::size_t stride, T const* x, std::int32_t const* lengths, std::size_t sequences,
                 std::size_t tokens, std::size_t width) {
    for (std::size_t s = 0; s < sequences; ++s)
      widen(to + s * stride, x + (s * tokens + static_cast<std::size_t>(lengths[s]) - 1) * width, width);
  }

  // The device's memory is the host's, and what is asked for is done at once.
  void use() {}
  void upload(void* to, void const* from, std::size_t bytes) { copy(to, from, bytes); }
  void download(void* to, void const* from, std::size_t bytes) { copy(to, from, bytes); }
  void finish() {}

  /// What oneDNN and widened operands take beside the plan's memory. It grows at the first use of a shape.
  /// Units   bytes
  [[nodiscard]] std::size_t workspace_bytes() const noexcept { return multiply_.workspace_bytes(); }

 private:
  on_host::gemm multiply_;
};

}  // namespace mpx::on_host
