/// @file
/// Devices of two kinds in one placement, and what a backend offers for one kind of them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <type_traits>

#include <mpx/backend/concepts.hpp>
#include <mpx/backend/thread_channel.hpp>
#include <mpx/backend/thread_group.hpp>
#include <mpx/core/device.hpp>

namespace mpx {

namespace detail {

/// What threads do with the memory of one of two kinds of device: which one is known when a channel or a group is made.
template <device_kind FirstKind, class First, device_kind SecondKind, class Second>
class either_memory {
 public:
  either_memory() = default;
  either_memory(device_kind of) : second_(of == SecondKind) {}

  void finish() const {
    if (second_) Second::finish();
    else First::finish();
  }
  template <class T>
  void copy(T* to, T const* from, std::size_t n) const {
    if (second_) Second::copy(to, from, n);
    else First::copy(to, from, n);
  }

 private:
  bool second_ = false;

 protected:
  [[nodiscard]] bool is_second() const { return second_; }
};

/// And how buffers of several threads become one there.
template <device_kind FirstKind, class First, device_kind SecondKind, class Second>
class either_group_memory : public either_memory<FirstKind, First, SecondKind, Second> {
 public:
  static constexpr std::size_t most_parts = std::min<std::size_t>(First::most_parts, Second::most_parts);
  using either_memory<FirstKind, First, SecondKind, Second>::either_memory;

  template <class T>
  void combine(combining how, void* const* parts, std::size_t count, std::size_t begin, std::size_t end, T* slice) const {
    if (this->is_second()) Second::template combine<T>(how, parts, count, begin, end, slice);
    else First::template combine<T>(how, parts, count, begin, end, slice);
  }
};

template <class B>
concept of_threads =
    requires {
      typename B::channel::memory;
      typename B::group::memory;
    } ||
    unsatisfied<"a mixed backend is made of two whose channel and group are a thread_channel and a thread_group", B>();

}  // namespace detail

/// Both backends' devices, each with its own machine and memory. Channels and groups are told the kinds of device that they
/// work for: each end of a channel copies by its own device's means, and the storage lies where both reach it.
template <backend First, backend Second>
  requires(First::kind != Second::kind && detail::of_threads<First> && detail::of_threads<Second>)
struct mixed_backend {
  using machine = typename First::machine;
  using memory = typename First::memory;
  static constexpr device_kind kind = First::kind;

  /// (name, storage, slots, deadline, kind of the sender, kind of the receiver)
  class channel : public thread_channel<detail::either_memory<First::kind, typename First::channel::memory, Second::kind,
                                                              typename Second::channel::memory>> {
   public:
    using channel::thread_channel::thread_channel;
  };
  /// (name, ranks, deadline, kind of the buffers' memory), or with summands before the last
  class group : public thread_group<detail::either_group_memory<First::kind, typename First::group::memory, Second::kind,
                                                                typename Second::group::memory>> {
   public:
    using group::thread_group::thread_group;
  };

  /// The backend of one of the kinds.
  template <device_kind Kind>
    requires(Kind == First::kind || Kind == Second::kind)
  using on = std::conditional_t<Kind == First::kind, First, Second>;
};

/// Does a backend serve devices of this kind?
template <class B, device_kind Kind>
concept offers_kind = B::kind == Kind || requires { typename B::template on<Kind>; };

namespace detail {

template <class B, device_kind Kind>
struct backend_on {
  using type = B;
};
template <class B, device_kind Kind>
  requires requires { typename B::template on<Kind>; }
struct backend_on<B, Kind> {
  using type = typename B::template on<Kind>;
};

}  // namespace detail

/// What a backend has for devices of this kind: a backend of that kind alone.
template <class B, device_kind Kind>
using backend_on = typename detail::backend_on<B, Kind>::type;

}  // namespace mpx
