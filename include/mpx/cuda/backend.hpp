/// @file
/// The CUDA backend: what a trainer needs to run on GPUs.
#pragma once

#include <mpx/core/device.hpp>
#include <mpx/cuda/channel.hpp>
#include <mpx/cuda/group.hpp>
#include <mpx/cuda/machine.hpp>
#include <mpx/cuda/memory.hpp>

namespace mpx::on_cuda {

struct backend {
  using machine = on_cuda::machine;
  using memory = on_cuda::memory;
  using channel = on_cuda::channel;
  using group = on_cuda::group;
  static constexpr device_kind kind = device_kind::cuda;
};

}  // namespace mpx::on_cuda
