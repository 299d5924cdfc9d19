/// @file
/// What CUDA reports becomes mpx::error.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

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

namespace detail {

/// A thread's queues, one for each GPU that it has worked on. They wait for no other queue, and none waits for them: not the one
/// that CUDA uses for whom names none, which would be of no use to the whole program while a pass is recorded.
class thread_queues {
 public:
  thread_queues() = default;
  thread_queues(thread_queues const&) = delete;
  ~thread_queues() {
    for (cudaStream_t one : all_)
      if (one != nullptr) cudaStreamDestroy(one);
  }
  [[nodiscard]] cudaStream_t on(int ordinal) {
    auto const number = static_cast<std::size_t>(ordinal);
    if (all_.size() <= number) all_.resize(number + 1);
    if (all_[number] == nullptr) check(cudaStreamCreateWithFlags(&all_[number], cudaStreamNonBlocking), "make a queue");
    return all_[number];
  }

 private:
  std::vector<cudaStream_t> all_;
};
inline thread_local thread_queues own_queues;
inline thread_local cudaStream_t chosen_queue = nullptr;

}  // namespace detail

/// This thread works on the GPU with this ordinal from now on.
/// Errors  throws mpx::error when there is none
inline void use_device(int ordinal) {
  int const count = device_count();
  if (ordinal >= count)
    throw error({.what = "no such GPU", .where = "cuda<" + std::to_string(ordinal) + ">",
                 .expected = "one of those that CUDA finds", .got = "a machine with " + std::to_string(count)});
  check(cudaSetDevice(ordinal), "choose a GPU");
  detail::chosen_queue = detail::own_queues.on(ordinal);
}

/// Where this thread's operations on its GPU stand in line. A device of a plan is one thread, so each has a queue of its own. A
/// pass that is open is done as far as it has come: ask for the queue before each use, and do not keep it.
[[nodiscard]] inline cudaStream_t queue() {
  open_pass::interrupt();
  if (detail::chosen_queue == nullptr) detail::chosen_queue = detail::own_queues.on(0);  // CUDA's first choice too
  return detail::chosen_queue;
}

/// Returns when all that this thread has started is done.
/// Errors  throws mpx::error when some of it has failed
inline void wait_for_queue() { check(cudaStreamSynchronize(queue()), "finish its work"); }

}  // namespace mpx::on_cuda
