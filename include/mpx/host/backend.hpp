/// @file
/// The host backend: what a trainer needs to run on processor cores.
#pragma once

#include <mpx/core/device.hpp>
#include <mpx/host/channel.hpp>
#include <mpx/host/group.hpp>
#include <mpx/host/machine.hpp>
#include <mpx/host/memory.hpp>

namespace mpx::on_host {

struct backend {
  using machine = on_host::machine;
  using memory = on_host::memory;
  using channel = on_host::channel;
  using group = on_host::group;
  static constexpr device_kind kind = device_kind::host;
};

}  // namespace mpx::on_host
