/// @file
/// One-directional messages between two threads.
#pragma once

#include <algorithm>
#include <cstddef>

#include <mpx/backend/thread_channel.hpp>

namespace mpx::on_host {

/// What threads do with each other's memory: nothing is under way when a call returns.
struct thread_memory {
  static void finish() {}
  template <class T>
  static void copy(T* to, T const* from, std::size_t n) {
    std::copy_n(from, n, to);
  }
};

/// Between threads of this process; see thread_channel.
class channel : public thread_channel<thread_memory> {
 public:
  using thread_channel::thread_channel;
};

}  // namespace mpx::on_host
