/// @file
/// All CUDA kernels of mpx. The target mpx::cuda brings this file as a source of the user's own target; it is the only one
/// that nvcc compiles, and no model passes through it.
#include <cstddef>
#include <cstdint>

#include <mpx/cuda/attention.hpp>
#include <mpx/cuda/elements.hpp>
#include <mpx/cuda/launch.cuh>
#include <mpx/cuda/matrix_attention.hpp>
#include <mpx/cuda/reduce.hpp>
#include <mpx/cuda/row_sums.hpp>
#include <mpx/cuda/rows.hpp>
#include <mpx/cuda/side_by_side.hpp>
#include <mpx/cuda/sort.cuh>
#include <mpx/cuda/sums.hpp>
#include <mpx/optim/decision.hpp>
#include <mpx/policy/clipping.hpp>
#include <mpx/policy/optimizer.hpp>

namespace mpx::on_cuda {

template <class T, unsigned... Width>
void const* const* attention_launches() {
  return compiled_launches<matrix_attention_forward<T, Width>..., matrix_attention_key_gradients<T, Width>...,
                           matrix_attention_query_gradients<T, Width>...>();
}
template void const* const* attention_launches<bf16, 32, 64, 128>();
template void const* const* attention_launches<f16, 32, 64, 128>();

template <class T>
void const* const* row_launches() {
  return compiled_launches<
      cast<T>, widen<T>, add<T>, scale<T>, positions_forward<T>, add_rows<T>, repeat_row<T>, chunk_column_sums<T>,
      layer_norm_forward<T>, layer_norm_input_gradient<T>, layer_norm_parameter_gradients<T>, rms_norm_forward<T>,
      rms_norm_input_gradient<T>, rms_norm_parameter_gradients<T>, rotary<T>, dropout<T>, relu_dropout<T>,
      relu_dropout_backward<T>, embedding_forward<T>, embedding_backward<T>, sinusoidal_table<T>, cross_entropy<T>,
      row_maxima<T>, cross_entropy_sums<T>, cross_entropy_slice<T>, last_rows<T>, attention_forward<T>,
      attention_delta<T>, attention_key_gradients<T>, attention_query_gradients<T>, combine_parts<T>>();
}
template void const* const* row_launches<float>();
template void const* const* row_launches<bf16>();
template void const* const* row_launches<f16>();

template <class T, class... Function>
void const* const* activation_launches() {
  return compiled_launches<activation_forward<Function, T>..., activation_backward<Function, T>...,
                           gated_forward<Function, T>..., gated_backward<Function, T>...>();
}
template void const* const* activation_launches<float, relu, gelu, gelu_tanh, silu>();
template void const* const* activation_launches<bf16, relu, gelu, gelu_tanh, silu>();
template void const* const* activation_launches<f16, relu, gelu, gelu_tanh, silu>();

template <class T, class Clipping, class... Optimizer>
void const* const* update_launches() {
  return compiled_launches<decide<decides_update<Clipping>>, side_by_side<update<Optimizer, T, element_bound<Clipping>>>...>();
}
template void const* const* update_launches<float, no_clipping, sgd, sgd_momentum, adam, adamw>();
template void const* const* update_launches<float, clip_by_value, sgd, sgd_momentum, adam, adamw>();
template void const* const* update_launches<float, clip_by_global_norm, sgd, sgd_momentum, adam, adamw>();
template void const* const* update_launches<bf16, no_clipping, sgd, sgd_momentum, adam, adamw>();
template void const* const* update_launches<bf16, clip_by_value, sgd, sgd_momentum, adam, adamw>();
template void const* const* update_launches<bf16, clip_by_global_norm, sgd, sgd_momentum, adam, adamw>();
template void const* const* update_launches<f16, no_clipping, sgd, sgd_momentum, adam, adamw>();
template void const* const* update_launches<f16, clip_by_value, sgd, sgd_momentum, adam, adamw>();
template void const* const* update_launches<f16, clip_by_global_norm, sgd, sgd_momentum, adam, adamw>();

template void launch(fill_ids const&);
template void launch(number_ids const&);
template std::size_t sort_memory<std::int32_t>(std::size_t);
template void sort_rows(std::int32_t const*, std::size_t, float*);
template void launch(swap_axes const&);
template void launch(side_by_side<chunk_squares> const&);
template void launch(side_by_side<totals_of> const&);
template void launch(totals_of const&);
template void launch(attention_bias_gradient const&);
template void launch(combine_parts<double> const&);

}  // namespace mpx::on_cuda
