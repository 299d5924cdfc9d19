// The host's backend, counting what its products and attentions are asked for.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <type_traits>

#include <mpx/host/backend.hpp>

namespace test {

/// FLOPs of each device since `counted` was filled with zeros. Devices are numbered in the order that their machines
/// are made in, which is the plan's, from `machines_made = 0` on; each has one thread.
inline std::array<double, 16> counted{};
inline std::size_t machines_made = 0;

class counting_machine : public mpx::on_host::machine {
 public:
  template <class T, class U>
  void gemm(mpx::gemm_shape const& s, T const* a, T const* b, U* c, T const* bias) {
    counted[number_] += 2.0 * static_cast<double>(s.m) * static_cast<double>(s.n) * static_cast<double>(s.k);
    machine::gemm(s, a, b, c, bias);
  }
  template <class T>
  void attention_forward(mpx::attention_shape const& s, T* o, mpx::accumulator_t<T>* lse, T const* q, T const* k,
                         T const* v, std::int32_t const* lengths,
                         mpx::score_bias<std::type_identity_t<T>> const& bias = {}) {
    counted[number_] += products(s);
    machine::attention_forward(s, o, lse, q, k, v, lengths, bias);
  }
  /// Twice the forward's FLOPs: as of any product, one more of its size for each of the two operands.
  template <class T>
  void attention_backward(mpx::attention_shape const& s, T* dq, T* dk, T* dv, mpx::accumulator_t<T>* dq_sum,
                          mpx::accumulator_t<T>* delta, T const* d_o, T const* o, mpx::accumulator_t<T> const* lse,
                          T const* q, T const* k, T const* v, std::int32_t const* lengths,
                          mpx::score_bias<std::type_identity_t<T>> const& bias = {},
                          mpx::accumulator_t<T>* d_bias = nullptr) {
    counted[number_] += 2 * products(s);
    machine::attention_backward(s, dq, dk, dv, dq_sum, delta, d_o, o, lse, q, k, v, lengths, bias, d_bias);
  }

 private:
  /// q k^T and softmax(...) v
  static double products(mpx::attention_shape const& s) {
    return 4.0 * static_cast<double>(s.sequences * s.heads * s.query_tokens * s.key_tokens * s.head_width);
  }
  std::size_t const number_ = machines_made++;
};

struct counting_backend : mpx::on_host::backend {
  using machine = counting_machine;
};
static_assert(mpx::backend<counting_backend>);

}  // namespace test
