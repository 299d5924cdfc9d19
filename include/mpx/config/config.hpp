/// @file
/// Every macro of mpx, and its version.
#pragma once

#define MPX_VERSION_MAJOR 0
#define MPX_VERSION_MINOR 1
#define MPX_VERSION_PATCH 0

/// A formula's body is compiled once per element type and never cloned into its callers: two placements of one model
/// then run the very same instructions, fused multiply-adds included, which is what makes their results bit-identical.
#if defined(__CUDACC__)
#define MPX_KERNEL
#elif defined(__clang__)
#define MPX_KERNEL __attribute__((noinline))
#elif defined(__GNUC__)
#define MPX_KERNEL __attribute__((noipa))
#else
#define MPX_KERNEL
#endif

/// Small functions that a vectorised loop must see through.
#if defined(__GNUC__) || defined(__clang__)
#define MPX_INLINE inline __attribute__((always_inline))
#else
#define MPX_INLINE inline
#endif

/// Runs on the host, and on the GPU when nvcc compiles it.
#if defined(__CUDACC__)
#define MPX_HOST_DEVICE __host__ __device__
#else
#define MPX_HOST_DEVICE
#endif

#define MPX_PRAGMA(text) _Pragma(#text)

/// Bytes of an object that belong to none of its members become 0, where the compiler can do that.
#if defined(__has_builtin)
#if __has_builtin(__builtin_clear_padding)
#define MPX_CLEAR_PADDING(object) __builtin_clear_padding(&object)
#endif
#endif
#ifndef MPX_CLEAR_PADDING
#define MPX_CLEAR_PADDING(object) static_cast<void>(object)
#endif

/// The next loop's bounds are known to the compiler, and arrays that it indexes belong in a GPU's registers; or it is
/// better unrolled n times alone, for the registers that more would take.
#if defined(__CUDACC__)
#define MPX_UNROLL MPX_PRAGMA(unroll)
#define MPX_UNROLL_BY(n) MPX_PRAGMA(unroll n)
#else
#define MPX_UNROLL
#define MPX_UNROLL_BY(n)
#endif

/// Iterations of the next loop are independent; the compiler may vectorise it.
#if defined(_OPENMP) || defined(MPX_OPENMP_SIMD)
#define MPX_SIMD MPX_PRAGMA(omp simd)
#else
#define MPX_SIMD
#endif
