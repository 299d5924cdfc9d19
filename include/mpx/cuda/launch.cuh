/// @file
/// How the GPU runs a body. Included by .cu files alone.
#pragma once

#include <cstddef>

#include <cuda_runtime.h>

#include <mpx/cuda/block.hpp>
#include <mpx/cuda/check.hpp>
#include <mpx/cuda/launch.hpp>

namespace mpx::on_cuda {

/// A block of the GPU, as block.hpp describes it. Grids, blocks and shared memory have one dimension.
struct gpu_block {
  std::byte* memory;

  [[nodiscard]] __device__ __forceinline__ std::size_t index() const { return blockIdx.x; }
  [[nodiscard]] __device__ __forceinline__ std::size_t count() const { return gridDim.x; }
  [[nodiscard]] __device__ __forceinline__ unsigned thread() const { return threadIdx.x; }
  [[nodiscard]] __device__ __forceinline__ unsigned threads() const { return blockDim.x; }
  [[nodiscard]] __device__ __forceinline__ std::byte* shared() const { return memory; }
  __device__ __forceinline__ void wait() const { __syncthreads(); }
  [[nodiscard]] __device__ __forceinline__ float exchange(float value, unsigned distance) const {
    return __shfl_xor_sync(0xffffffffu, value, distance);
  }
};

template <class Body>
__global__ void __launch_bounds__(512) run_body(Body body) {
  extern __shared__ __align__(16) unsigned char memory[];
  body(gpu_block{reinterpret_cast<std::byte*>(memory)});
}

template <class Body>
void launch(Body const& body) {
  launch_size const size = body.size();
  if (size.blocks == 0) return;
  if (size.shared > 48 * 1024)  // more has to be asked for
    check(cudaFuncSetAttribute(run_body<Body>, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(size.shared)),
          "give a block so much shared memory");
  run_body<<<static_cast<unsigned>(size.blocks), size.threads, size.shared, queue()>>>(body);
  check(cudaGetLastError(), "start a kernel");
}

/// Makes nvcc compile launch() of these bodies where a function that calls it is instantiated.
template <class... Bodies>
void const* const* compiled_launches() {
  static void const* const all[] = {reinterpret_cast<void const*>(&launch<Bodies>)...};
  return all;
}

}  // namespace mpx::on_cuda
