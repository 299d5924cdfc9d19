/// @file
/// What CUDA reports becomes mpx::error.
#pragma once

#include <string>

#include <cuda_runtime_api.h>

#include <mpx/core/error.hpp>
#include <mpx/cuda/open_pass.hpp>

namespace mpx::on_cuda {

/// Errors  throws mpx::error unless all went well; also when something that was started earlier has failed since
inline void check(cudaError_t status, char const* what) {
  if (status == cudaSuccess) return;
  throw error({.what = std::string("CUDA could not ") + what, .where = "cuda device", .expected = {},
               .got = cudaGetErrorString(status)});
}

/// GPUs of this machine; 0 where there is no driver.
[[nodiscard]] inline int device_count() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

/// This thread works on the GPU with this ordinal from now on.
/// Errors  throws mpx::error when there is none
inline void use_device(int ordinal) {
  int const count = device_count();
  if (ordinal >= count)
    throw error({.what = "no such GPU", .where = "cuda<" + std::to_string(ordinal) + ">",
                 .expected = "one of those that CUDA finds", .got = "a machine with " + std::to_string(count)});
  check(cudaSetDevice(ordinal), "choose a GPU");
}

/// Where this thread's operations stand in line. A device of a plan is one thread, so each has a queue of its own. A pass that
/// is open is done as far as it has come.
[[nodiscard]] inline cudaStream_t queue() {
  open_pass::interrupt();
  return cudaStreamPerThread;
}

/// Returns when all that this thread has started is done.
/// Errors  throws mpx::error when some of it has failed
inline void wait_for_queue() { check(cudaStreamSynchronize(queue()), "finish its work"); }

}  // namespace mpx::on_cuda
