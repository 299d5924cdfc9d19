// The host's backend, with what a machine may offer beside a product: done one by one, in the host's own operations. Layers
// that ask for it compute the very bits that they do without.
#pragma once

#include <atomic>
#include <cstddef>

#include <mpx/host/backend.hpp>

namespace test {

/// How often it was asked for.
inline std::atomic<int> row_sums_asked{0}, gelus_asked{0}, gelu_gradients_asked{0};

class one_by_one_machine : public mpx::on_host::machine {
 public:
  template <class T>
  void gemm_with_row_sum(mpx::gemm_shape const& s, T const* a, T const* b, mpx::accumulator_t<T>* c, mpx::accumulator_t<T>* sum) {
    ++row_sums_asked;
    gemm(s, a, b, c, static_cast<T const*>(nullptr));
    column_sum(sum, a, s.k, s.m);
  }
  template <class T>
  void gemm_with_gelu(mpx::gemm_shape const& s, T const* a, T const* b, T* c, T* y, T const* bias) {
    ++gelus_asked;
    gemm(s, a, b, c, bias);
    activation_forward<mpx::gelu_tanh>(y, c, s.m * s.n);
  }
  template <class T>
  void gemm_with_gelu_gradient(mpx::gemm_shape const& s, T const* a, T const* b, T* c, T const* x) {
    ++gelu_gradients_asked;
    gemm(s, a, b, c, static_cast<T const*>(nullptr));
    activation_backward<mpx::gelu_tanh>(c, c, x, s.m * s.n);
  }
};

struct one_by_one_backend : mpx::on_host::backend {
  using machine = one_by_one_machine;
};
static_assert(mpx::backend<one_by_one_backend>);
static_assert(mpx::sums_within_products<one_by_one_machine, float> && mpx::sums_within_products<one_by_one_machine, mpx::bf16>);
static_assert(mpx::gelu_within_products<one_by_one_machine, float> && mpx::gelu_within_products<one_by_one_machine, mpx::bf16>);
static_assert(!mpx::sums_within_products<mpx::on_host::machine, float>);
static_assert(!mpx::gelu_within_products<mpx::on_host::machine, float>);

}  // namespace test
