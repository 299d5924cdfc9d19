/// @file
/// The devices of a replica, each with its arena and its machine.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

#include <mpx/backend/mixed.hpp>
#include <mpx/core/diagnostic.hpp>
#include <mpx/plan/plan.hpp>
#include <mpx/tensor/view.hpp>

namespace mpx {

namespace detail {

template <device_kind Missing>
struct offered_devices {
  static_assert(Missing == device_kind::none,
                "mpx::trainer requires its backend to offer every kind of device that the placement names");
};

}  // namespace detail

/// What a device is made of.
struct device_request {
  std::size_t bytes;  ///< of its arena
  int ordinal;
};

/// One device of this kind: the plan's arena, and the machine that works on it.
template <class Backend, device_kind Kind>
struct device_at_work {
  using memory = typename backend_on<Backend, Kind>::memory;
  using machine = typename backend_on<Backend, Kind>::machine;

  device_at_work(device_request const& of) : arena(made<memory>(of.ordinal, of.bytes)), processor(made<machine>(of.ordinal)) {}

  [[nodiscard]] auto arena_memory() const { return arena_view<backend_on<Backend, Kind>::kind>{arena.data()}; }

  memory arena;
  machine processor;

 private:
  /// A machine or memory that is one of several of its kind is told which.
  template <class Made, class... Arguments>
  static Made made([[maybe_unused]] int ordinal, Arguments... arguments) {
    if constexpr (std::constructible_from<Made, Arguments..., int>) return Made(arguments..., ordinal);
    else return Made(arguments...);
  }
};

/// All devices of one data and tensor rank, those of the pipeline axis, by the plan's numbers: in an array when they are of one kind, else in a tuple.
/// Errors  compile time: the backend does not offer a kind of device; names it
template <class Model, class Recipe, class Backend>
class devices_at_work {
 public:
  static constexpr auto& plan = plan_v<Model, Recipe>;
  static constexpr std::size_t P = plan.device_count;
  static constexpr device_kind missing = [] {
    constexpr bool host = offers_kind<Backend, device_kind::host>, cuda = offers_kind<Backend, device_kind::cuda>;
    for (device d : plan.devices)
      if (!(d.kind == device_kind::host ? host : cuda)) return d.kind;
    return device_kind::none;
  }();
  using checked = decltype(verdict_on<detail::offered_devices<missing>>());

  devices_at_work(std::size_t data_rank, std::size_t tensor_rank) : all_(all::made(data_rank, tensor_rank)) {}

  template <std::size_t Number>
  [[nodiscard]] auto& at() {
    return std::get<Number>(all_);
  }
  /// Calls f(device_at_work) for the device with this number.
  template <class F>
  void on(std::size_t number, F&& f) {
    if constexpr (of_one_kind) f(all_[number]);
    else
      [&]<std::size_t... I>(std::index_sequence<I...>) {
        ((I == number ? f(at<I>()) : void()), ...);
      }(std::make_index_sequence<P>{});
  }
  /// Where their arenas begin.
  [[nodiscard]] std::array<std::byte*, P> arenas() {
    return std::apply([](auto&... d) { return std::array<std::byte*, P>{d.arena.data()...}; }, all_);
  }

 private:
  /// Where a backend's ranks share no device, those that the placement names are the first ones of data and tensor rank 0, and
  /// all are counted as on the mesh.
  static int ordinal_of(std::size_t device, [[maybe_unused]] std::size_t data_rank, [[maybe_unused]] std::size_t tensor_rank) {
    int const placed = plan.devices[device].ordinal;
    if constexpr (requires { requires Backend::ranks_have_own_devices; }) {
      int highest = 0;
      for (std::size_t d = 0; d < P; ++d) highest = std::max(highest, plan.devices[d].ordinal);
      return static_cast<int>(mesh_shape{plan.mesh.data, static_cast<std::size_t>(highest) + 1, plan.mesh.tensor}.number(
          {data_rank, static_cast<std::size_t>(placed), tensor_rank}));
    }
    return placed;
  }
  static constexpr bool of_one_kind = [] {
    for (device d : plan.devices)
      if (d.kind != plan.devices[0].kind) return false;
    return true;
  }();
  template <class Indices>
  struct numbered;
  template <std::size_t... I>
  struct numbered<std::index_sequence<I...>> {
    using in_array = std::array<device_at_work<Backend, plan.devices[0].kind>, P>;
    using in_tuple = std::tuple<device_at_work<Backend, plan.devices[I].kind>...>;
    using type = std::conditional_t<of_one_kind, in_array, in_tuple>;
    static type made(std::size_t data_rank, std::size_t tensor_rank) {
      return {device_request{plan.arena_bytes[I], ordinal_of(I, data_rank, tensor_rank)}...};
    }
  };
  using all = numbered<std::make_index_sequence<P>>;

  typename all::type all_;
};

}  // namespace mpx
