/// @file
/// All of mpx, on GPUs too. Link mpx::cuda, which brings the kernels; this file is for g++ and clang++.
#pragma once

#include <mpx/cuda/backend.hpp>
#include <mpx/mpx.hpp>

namespace mpx {

/// Trains a model under a recipe whose placement names GPUs: cuda<0>, cuda<1>, ...
template <class Model, class Recipe, backend Backend = on_cuda::backend>
using cuda_trainer = basic_trainer<Model, Recipe, Backend>;

}  // namespace mpx
