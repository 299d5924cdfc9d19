/// @file
/// All of mpx, on GPUs too. Link mpx::cuda, which brings the kernels; this file is for g++ and clang++.
#pragma once

#include <type_traits>

#include <mpx/backend/mixed.hpp>
#include <mpx/cuda/backend.hpp>
#include <mpx/mpx.hpp>

namespace mpx {

namespace detail {

template <class Model, class Recipe>
constexpr bool names_a_host() {
  for (device d : plan_v<Model, Recipe>.devices)
    if (d.kind == device_kind::host) return true;
  return false;
}

}  // namespace detail

/// GPUs alone, or GPUs and parts of the processor: what the placement names.
template <class Model, class Recipe>
using cuda_backend = std::conditional_t<detail::names_a_host<Model, Recipe>(), mixed_backend<on_host::backend, on_cuda::backend>,
                                        on_cuda::backend>;

/// Trains a model under a recipe whose placement names GPUs: cuda<0>, cuda<1>, ...; host<0>, ... may stand beside them.
template <class Model, class Recipe, backend Backend = cuda_backend<Model, Recipe>>
using cuda_trainer = basic_trainer<Model, Recipe, Backend>;

}  // namespace mpx
