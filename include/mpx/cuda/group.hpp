/// @file
/// Threads that work on GPUs meet at a barrier, combine their buffers, and give each other slices of them.
#pragma once

#include <cstddef>

#include <mpx/backend/thread_group.hpp>
#include <mpx/cuda/channel.hpp>
#include <mpx/cuda/launch.hpp>
#include <mpx/cuda/reduce.hpp>

namespace mpx::on_cuda {

/// A kernel reads the buffers of all ranks in place: GPUs must reach each other's memory, or be one. What a rank brings is
/// written when its queue has come so far, so a rank waits for its queue before it meets the others.
struct group_memory : thread_memory {
  static constexpr std::size_t most_parts = combine_parts<float>::most_parts;

  template <class T>
  static void combine(combining how, void* const* parts, std::size_t count, std::size_t begin, std::size_t end, T* slice) {
    combine_parts<T> body{{}, slice, count, begin, end - begin, how};
    for (std::size_t p = 0; p < count; ++p) body.parts[p] = static_cast<T*>(parts[p]);
    launch(body);
  }
};

/// Threads of this process, each with a GPU or a part of one; see thread_group.
class group : public thread_group<group_memory> {
 public:
  using thread_group::thread_group;
};

}  // namespace mpx::on_cuda
