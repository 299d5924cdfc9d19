/// @file
/// A tensor in memory, with what the compiler must know of it: its elements, its layout over the mesh, its machine.
#pragma once

#include <concepts>
#include <cstddef>

#include <mpx/core/device.hpp>
#include <mpx/core/diagnostic.hpp>
#include <mpx/core/layout.hpp>

namespace mpx {

/// Elements of type T on one rank, in the memory of a device of this kind. How many they are is known at run time.
template <class T, layout Layout, device_kind Where = device_kind::host>
struct tensor_view {
  using element = T;
  static constexpr layout mesh_layout = Layout;
  static constexpr device_kind where = Where;

  T* data = nullptr;
};

/// Any tensor_view.
template <class V>
concept view = requires {
  typename V::element;
  { V::mesh_layout } -> std::convertible_to<layout>;
  { V::where } -> std::convertible_to<device_kind>;
};

namespace detail {

template <device_kind Machine, device_kind Tensor>
struct same_memory {
  static_assert(Machine == Tensor, "mpx::tensor_view requires an operation's machine to be of the kind that its tensor lives on");
};

}  // namespace detail

/// One allocation of a device of this kind, before it is divided into tensors.
template <device_kind Where>
struct arena_view {
  static constexpr device_kind where = Where;

  std::byte* begin = nullptr;
};

/// May this context's machine work on these tensors, or in this arena? A pointer into another kind of memory does not compile.
/// Errors  compile time: names both kinds of device
template <class Context, class... Views>
consteval void require_same_memory() {
  (static_cast<void>(sizeof(detail::same_memory<Context::kind, Views::where>)), ...);
}

}  // namespace mpx
