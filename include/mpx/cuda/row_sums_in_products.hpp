/// @file
/// GPUs whose products of a weight's gradient add up the bias's as well. No other header includes this one.
#pragma once

#include <cstddef>

#include <mpx/backend/operations.hpp>
#include <mpx/cuda/gemm.hpp>

namespace mpx::on_cuda {

namespace queued {

template <class T>
struct product_and_row_sum {
  gemm* by;
  gemm_shape shape;
  T const* a;
  T const* b;
  float* c;
  float* sum;
  void operator()() const { by->with_row_sum(shape, a, b, c, sum); }
  friend bool operator==(product_and_row_sum const&, product_and_row_sum const&) = default;
};

}  // namespace queued

/// A machine of GPUs that reads dy once for both gradients of a dense layer, where cublasLt can.
template <class Machine>
class row_sum_machine : public Machine {
 public:
  using Machine::Machine;

  /// gemm without a bias, and sum[m] += the sum over k of op(a)[m,k], a transposed.
  template <class T>
  void gemm_with_row_sum(gemm_shape const& s, T const* a, T const* b, float* c, float* sum) {
    float* const row_sum = this->scratch(s.m);
    if (this->multiply_.offers_row_sum(s, a, b, c, row_sum)) {
      this->ask(queued::product_and_row_sum<T>{&this->multiply_, s, a, b, c, row_sum});
      return this->add(sum, row_sum, s.m);
    }
    this->gemm(s, a, b, c, static_cast<T const*>(nullptr));
    this->column_sum(sum, a, s.k, s.m);
  }
};

/// A backend of GPUs with such machines. cublasLt chooses among fewer algorithms for such a product: whether reading dy once
/// makes up for that is a question to each GPU.
template <class Backend>
struct with_row_sums : Backend {
  using machine = row_sum_machine<typename Backend::machine>;
};

}  // namespace mpx::on_cuda
