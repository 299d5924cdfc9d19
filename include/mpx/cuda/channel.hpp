/// @file
/// One-directional messages between two threads that work on GPUs.
#pragma once

#include <cstddef>

#include <cuda_runtime_api.h>

#include <mpx/backend/thread_channel.hpp>
#include <mpx/cuda/check.hpp>

namespace mpx::on_cuda {

/// What threads do with each other's GPU memory, also of different GPUs: all of it in the thread's queue.
struct thread_memory {
  static void finish() { wait_for_queue(); }
  template <class T>
  static void copy(T* to, T const* from, std::size_t n) {
    check(cudaMemcpyAsync(to, from, n * sizeof(T), cudaMemcpyDefault, queue()), "copy to another thread, or from it");
  }
};

/// A message is there when the sender's queue has reached it; its slot is free when the receiver's has copied it out. See
/// thread_channel.
class channel : public thread_channel<thread_memory> {
 public:
  using thread_channel::thread_channel;
};

}  // namespace mpx::on_cuda
