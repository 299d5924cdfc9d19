/// @file
/// Names of devices. A device is a place that a layer can live on.
#pragma once

#include <cstddef>

namespace mpx {

enum class device_kind : unsigned char { none, host, cuda };

/// A device as a value; `host<0>{}` and `cuda<1>{}` convert to it.
struct device {
  device_kind kind = device_kind::none;
  int ordinal = -1;

  friend constexpr bool operator==(device const&, device const&) = default;
  [[nodiscard]] constexpr bool placed() const { return kind != device_kind::none; }
};

/// A part of this machine's processor: one thread with its own memory arena.
template <int Ordinal>
struct host {
  static_assert(Ordinal >= 0, "mpx::host requires its ordinal to be 0 or more");
  constexpr operator device() const { return {device_kind::host, Ordinal}; }
};

/// The GPU with this CUDA ordinal.
template <int Ordinal>
struct cuda {
  static_assert(Ordinal >= 0, "mpx::cuda requires its ordinal to be 0 or more");
  constexpr operator device() const { return {device_kind::cuda, Ordinal}; }
};

template <int A, int B>
constexpr bool operator==(host<A>, host<B>) {
  return A == B;
}

/// Can a thread that works for a device of one kind read and write the memory of another kind? Every device's thread
/// reaches the host's.
[[nodiscard]] constexpr bool reaches(device_kind worker, device_kind memory) {
  return worker == memory || memory == device_kind::host;
}

[[nodiscard]] constexpr char const* to_string(device_kind kind) {
  return kind == device_kind::host ? "host" : kind == device_kind::cuda ? "cuda" : "none";
}

}  // namespace mpx
