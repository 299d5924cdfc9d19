/// @file
/// How the GPU runs a body. Included by .cu files alone.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include <cuda_runtime.h>

#include <mpx/core/dtype.hpp>
#include <mpx/cuda/block.hpp>
#include <mpx/cuda/check.hpp>
#include <mpx/cuda/fragment.hpp>
#include <mpx/cuda/launch.hpp>

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
#error "mpx::cuda requires CMAKE_CUDA_ARCHITECTURES to name architectures from 80 on: matrix units for bf16, copies ahead"
#endif

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
  template <unsigned Bytes>
  __device__ __forceinline__ void read(void* to, void const* from) const {
    word<Bytes> const all = *static_cast<word<Bytes> const*>(from);
    std::memcpy(to, &all, Bytes);  // to registers, whatever they hold
  }
  /// In words of PTX: the compiler may take a store of 16 bytes apart.
  template <unsigned Bytes>
  __device__ __forceinline__ void write(void* to, void const* from) const {
    word<Bytes> all;
    std::memcpy(&all, from, Bytes);
    if constexpr (Bytes == 16)
      asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(__cvta_generic_to_global(to)), "r"(all.x), "r"(all.y),
                   "r"(all.z), "r"(all.w) : "memory");
    else if constexpr (Bytes == 8)
      asm volatile("st.global.v2.b32 [%0], {%1, %2};" ::"l"(__cvta_generic_to_global(to)), "r"(all.x), "r"(all.y) : "memory");
    else *static_cast<word<Bytes>*>(to) = all;
  }

  // --- the matrix units ----------------------------------------------------------------------------------------------
  [[nodiscard]] __device__ __forceinline__ fragment rows(std::uint16_t const* at, unsigned stride) const {
    fragment f;
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(f.pair[0]), "=r"(f.pair[1]), "=r"(f.pair[2]), "=r"(f.pair[3])
                 : "r"(own_row(at, stride)));
    return f;
  }
  [[nodiscard]] __device__ __forceinline__ fragment columns(std::uint16_t const* at, unsigned stride) const {
    fragment f;
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(f.pair[0]), "=r"(f.pair[1]), "=r"(f.pair[2]), "=r"(f.pair[3])
                 : "r"(own_row(at, stride)));
    return f;
  }
  template <class T>
  __device__ __forceinline__ void multiply(partial_sums& c, fragment const& a, std::uint32_t b0, std::uint32_t b1) const {
    static_assert(std::is_same_v<T, bf16> || std::is_same_v<T, f16>);
    if constexpr (std::is_same_v<T, bf16>)
      asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
          : "+f"(c.at[0]), "+f"(c.at[1]), "+f"(c.at[2]), "+f"(c.at[3])
          : "r"(a.pair[0]), "r"(a.pair[1]), "r"(a.pair[2]), "r"(a.pair[3]), "r"(b0), "r"(b1));
    else
      asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
          : "+f"(c.at[0]), "+f"(c.at[1]), "+f"(c.at[2]), "+f"(c.at[3])
          : "r"(a.pair[0]), "r"(a.pair[1]), "r"(a.pair[2]), "r"(a.pair[3]), "r"(b0), "r"(b1));
  }
  [[nodiscard]] __device__ __forceinline__ float exp2(float x) const {
    float power;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(x));
    return power;
  }
  template <class T>
  [[nodiscard]] __device__ __forceinline__ std::uint32_t pack(float low, float high) const {
    std::uint32_t both;
    if constexpr (std::is_same_v<T, bf16>) asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
    else asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
    return both;
  }

  template <unsigned Bytes>
  __device__ __forceinline__ void copy_ahead(void* to, void const* from, bool there) const {
    static_assert(Bytes == 4 || Bytes == 16);
    unsigned const to_read = there ? Bytes : 0;  // the rest becomes 0
    if constexpr (Bytes == 16)  // past the first cache, which 4 bytes cannot pass by
      asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from), "r"(to_read) : "memory");
    else
      asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared_address(to)), "l"(from), "r"(to_read) : "memory");
  }
  __device__ __forceinline__ void end_copies() const { asm volatile("cp.async.commit_group;" ::: "memory"); }
  template <int N>
  __device__ __forceinline__ void wait_for_copies() const {
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
  }

 private:
  template <unsigned Bytes>
  using short_word = std::conditional_t<Bytes == 4, std::uint32_t, std::uint16_t>;
  template <unsigned Bytes>
  using word = std::conditional_t<Bytes == 16, uint4, std::conditional_t<Bytes == 8, uint2, short_word<Bytes>>>;
  [[nodiscard]] static __device__ __forceinline__ unsigned shared_address(void const* at) {
    return static_cast<unsigned>(__cvta_generic_to_shared(at));
  }
  /// The row whose address this thread gives when a warp loads four 8 x 8 matrices.
  [[nodiscard]] static __device__ __forceinline__ unsigned own_row(std::uint16_t const* at, unsigned stride) {
    unsigned const lane = threadIdx.x % warp_width;
    return shared_address(at + lane % 16 * stride + lane / 16 * 8);
  }
};

/// Bodies that want more registers than 512 threads leave to each of them say of how many threads their blocks are at most.
template <class Body>
inline constexpr unsigned most_threads = 512;
template <class Body>
  requires requires { Body::most_threads; }
inline constexpr unsigned most_threads<Body> = Body::most_threads;

/// Bodies may say how many blocks of a multiprocessor their registers leave room for; else the compiler weighs it.
template <class Body>
inline constexpr unsigned blocks_at_once = 0;
template <class Body>
  requires requires { Body::blocks_at_once; }
inline constexpr unsigned blocks_at_once<Body> = Body::blocks_at_once;

template <class Body>
__global__ void __launch_bounds__(most_threads<Body>, blocks_at_once<Body>)
    run_body(const __grid_constant__ Body body) {  // operands that a block chooses by number are not copied for that
  extern __shared__ __align__(16) unsigned char memory[];
  body(gpu_block{reinterpret_cast<std::byte*>(memory)});
}

/// Once for a kernel on each GPU, and as much as that has: what one thread asks for is never less than another one needs.
inline void allow_all_shared_memory(void const* kernel, std::atomic<std::uint64_t>& asked_on) {
  int ordinal = 0, most = 0;
  check(cudaGetDevice(&ordinal), "say which GPU it is");
  std::uint64_t const own = ordinal < 64 ? std::uint64_t{1} << ordinal : 0;
  if ((asked_on & own) != 0) return;
  check(cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, ordinal), "say how much shared memory it has");
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, most), "give a block so much shared memory");
  asked_on |= own;
}

template <class Body>
void launch(Body const& body) {
  launch_size const size = body.size();
  if (size.blocks == 0) return;
  if (size.shared > 48 * 1024) {  // more has to be asked for
    static std::atomic<std::uint64_t> asked = 0;
    allow_all_shared_memory(reinterpret_cast<void const*>(&run_body<Body>), asked);
  }
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
