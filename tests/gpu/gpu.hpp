// Cases that need a GPU, and say so where there is none: CTest reports them as skipped.
#pragma once

#include <iostream>
#include <string>

#include <mpx/cuda/backend.hpp>

#include "support/said.hpp"

namespace test {

/// `if (no_gpu()) return;` begins each case of this room.
inline bool no_gpu() {
  if (mpx::on_cuda::device_count() > 0) return false;
  std::cout << "skipped: this case needs a GPU" << std::endl;
  return true;
}

/// Every device of a plan on the first GPU, so that stages meet on a machine with one.
struct one_gpu : mpx::on_cuda::backend {
  struct machine : mpx::on_cuda::machine {
    machine() = default;
    explicit machine(int) {}
  };
  struct memory : mpx::on_cuda::memory {
    memory() = default;
    explicit memory(std::size_t bytes, int = 0) : mpx::on_cuda::memory(bytes) {}
  };
};

}  // namespace test
