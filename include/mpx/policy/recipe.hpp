/// @file
/// All policies of a training run, in one type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <mpx/core/extent.hpp>
#include <mpx/policy/budget.hpp>
#include <mpx/policy/clipping.hpp>
#include <mpx/policy/deal.hpp>
#include <mpx/policy/gradient_buckets.hpp>
#include <mpx/policy/gradient_sum.hpp>
#include <mpx/policy/loss_scaling.hpp>
#include <mpx/policy/lr_schedule.hpp>
#include <mpx/policy/mesh.hpp>
#include <mpx/policy/optimizer.hpp>
#include <mpx/policy/place_by_cost.hpp>
#include <mpx/policy/placement.hpp>
#include <mpx/policy/precision.hpp>
#include <mpx/policy/recompute.hpp>
#include <mpx/policy/schedule.hpp>
#include <mpx/policy/sequence_parallel.hpp>
#include <mpx/policy/sharding.hpp>
#include <mpx/policy/zero_bubble.hpp>

namespace mpx {

template <std::size_t N> struct sequences {};      ///< B, the most sequences of one microbatch
template <std::size_t N> struct source_tokens {};  ///< Ts, the most tokens of a source sequence
template <std::size_t N> struct target_tokens {};  ///< Tt, the most tokens of a target sequence
template <std::size_t N> using tokens = target_tokens<N>;  ///< T of a decoder-only model

namespace detail {

template <class T>
struct capacity_tag {
  static constexpr bool known = false;
  static constexpr void write(extents&) {}
};
template <std::size_t N>
struct capacity_tag<sequences<N>> {
  static constexpr bool known = N > 0;
  static constexpr void write(extents& e) { e.sequences = static_cast<int>(N); }
};
template <std::size_t N>
struct capacity_tag<source_tokens<N>> {
  static constexpr bool known = N > 0;
  static constexpr void write(extents& e) { e.tokens[0] = static_cast<int>(N); }
};
template <std::size_t N>
struct capacity_tag<target_tokens<N>> {
  static constexpr bool known = N > 0;
  static constexpr void write(extents& e) { e.tokens[1] = static_cast<int>(N); }
};

template <class... Sizes>
struct capacity_tags {
  static_assert((capacity_tag<Sizes>::known && ...),
                "mpx::microbatch_capacity requires each argument to be sequences<N>, source_tokens<N>, target_tokens<N> "
                "or tokens<N>, with N above 0");
};

}  // namespace detail

/// The largest microbatch that memory is laid out for.
template <class... Sizes>
struct microbatch_capacity {
  static constexpr extents capacity = [] {
    extents e;
    (detail::capacity_tag<Sizes>::write(e), ...);
    return e;
  }();
  using checked = decltype(verdict_on<detail::capacity_tags<Sizes...>>());
};

namespace detail {

// What a policy is meant to be shows in the member that it offers; whether it offers it rightly is then asked of it.
template <class T> concept meant_as_placement = requires(std::array<layer_info, 2> const& l) { T::assign(l); } || requires { &T::assign; };
template <class T> concept meant_as_schedule = requires { &T::tasks; };
template <class T> concept meant_as_precision = requires { typename T::compute; };
template <class T> concept meant_as_loss_scaling = requires { typename T::state; } && !requires { T::states; };
template <class T> concept meant_as_clipping = requires { &T::scale; } || requires { &T::element; };
template <class T> concept meant_as_lr_schedule = requires { &T::rate; };
template <class T> concept meant_as_optimizer = requires { T::states; };
template <class T> concept meant_as_recompute = requires { &T::recomputes; };
template <class T> concept meant_as_capacity = requires { T::capacity; };
template <class T> concept meant_as_budget = requires { T::budget; };
template <class T> concept meant_as_mesh = requires { T::mesh_data; };
template <class T> concept meant_as_sharding = requires { T::divides_optimizer; };
template <class T> concept meant_as_buckets = requires { T::bucket; };
template <class T> concept meant_as_gradient_sum = requires { T::sums_in_a_tree; };
template <class T> concept meant_as_rows = requires { T::rows_over_tensor; };

enum class slot {
  unknown, placement, schedule, precision, loss_scaling, clipping, lr_schedule, optimizer, recompute, capacity, budget, mesh,
  gradient_sum, rows, buckets, sharding
};

template <class T>
consteval slot slot_of() {
  if constexpr (meant_as_capacity<T>) return slot::capacity;
  else if constexpr (meant_as_budget<T>) return slot::budget;
  else if constexpr (meant_as_mesh<T>) return slot::mesh;
  else if constexpr (meant_as_sharding<T>) return slot::sharding;
  else if constexpr (meant_as_buckets<T>) return slot::buckets;
  else if constexpr (meant_as_gradient_sum<T>) return slot::gradient_sum;
  else if constexpr (meant_as_rows<T>) return slot::rows;
  else if constexpr (meant_as_recompute<T>) return slot::recompute;
  else if constexpr (meant_as_schedule<T>) return slot::schedule;
  else if constexpr (meant_as_precision<T>) return slot::precision;
  else if constexpr (meant_as_loss_scaling<T>) return slot::loss_scaling;
  else if constexpr (meant_as_optimizer<T>) return slot::optimizer;
  else if constexpr (meant_as_clipping<T>) return slot::clipping;
  else if constexpr (meant_as_lr_schedule<T>) return slot::lr_schedule;
  else if constexpr (meant_as_placement<T>) return slot::placement;
  else return slot::unknown;
}

template <placement_policy T> struct checked_placement {};
template <schedule_of_stages T> struct checked_schedule {};
template <schedule_of_chunks T> struct checked_dealing {};
template <precision_policy T> struct checked_precision {};
template <loss_scaling_policy T> struct checked_loss_scaling {};
template <clipping_policy T> struct checked_clipping {};
template <lr_schedule T> struct checked_lr_schedule {};
template <optimizer_policy T> struct checked_optimizer {};
template <recompute_policy T> struct checked_recompute {};

template <class Policy, slot Slot>
struct checked_policy {
  static_assert(Slot != slot::unknown,
                "mpx::recipe requires each argument to be a policy: a placement (assign), schedule (tasks), precision "
                "(compute), loss scaling (state), clipping (scale or element), lr schedule (rate), optimizer (states), "
                "recompute (recomputes), mesh, canonical_sum, sequence_parallel, gradient_buckets, shard_optimizer, fits or microbatch_capacity");
};
template <class T> struct checked_policy<T, slot::capacity> {};
template <class T> struct checked_policy<T, slot::budget> {};
template <class T> struct checked_policy<T, slot::mesh> {};
template <class T> struct checked_policy<T, slot::gradient_sum> {};
template <class T> struct checked_policy<T, slot::rows> {};
template <class T> struct checked_policy<T, slot::buckets> {};
template <class T> struct checked_policy<T, slot::sharding> {};
template <class T> struct checked_policy<T, slot::placement> : checked_placement<T> {};
template <class T> struct checked_policy<T, slot::schedule> : checked_schedule<T> {};
template <deals_chunks T> struct checked_policy<T, slot::schedule> : checked_dealing<T> {};
template <class T> struct checked_policy<T, slot::precision> : checked_precision<T> {};
template <class T> struct checked_policy<T, slot::loss_scaling> : checked_loss_scaling<T> {};
template <class T> struct checked_policy<T, slot::clipping> : checked_clipping<T> {};
template <class T> struct checked_policy<T, slot::lr_schedule> : checked_lr_schedule<T> {};
template <class T> struct checked_policy<T, slot::optimizer> : checked_optimizer<T> {};
template <class T> struct checked_policy<T, slot::recompute> : checked_recompute<T> {};

/// The policy in this slot, or the default.
template <slot Slot, class Default, class... Policies>
struct pick {
  using type = Default;
};
template <slot Slot, class Default, class First, class... Rest>
struct pick<Slot, Default, First, Rest...>
    : std::conditional_t<slot_of<First>() == Slot, std::type_identity<First>, pick<Slot, Default, Rest...>> {};

template <class... Policies>
struct single_policies {
  static constexpr bool single = [] {
    std::array<slot, sizeof...(Policies)> const kinds{slot_of<Policies>()...};
    for (std::size_t a = 0; a < kinds.size(); ++a)
      for (std::size_t b = 0; b < a; ++b)
        if (kinds[a] == kinds[b] && kinds[a] != slot::unknown && kinds[a] != slot::budget) return false;
    return true;
  }();
  static_assert(single, "mpx::recipe requires its user to give at most one policy of each kind");
};

/// The most bytes that a device may hold.
struct device_budget {
  device where;
  bytes budget;
};
template <class T>
constexpr void add_budget([[maybe_unused]] auto& list, [[maybe_unused]] std::size_t& n) {
  if constexpr (slot_of<T>() == slot::budget) list[n++] = {T::where, T::budget};
}
template <class... Policies>
constexpr auto budgets_of() {
  std::array<device_budget, (std::size_t{slot_of<Policies>() == slot::budget} + ... + 0)> list{};
  [[maybe_unused]] std::size_t n = 0;
  (add_budget<Policies>(list, n), ...);
  return list;
}

/// Where the recipe names no placement: balanced over the mesh's pipeline axis, or all on one device.
template <std::size_t Pipeline>
struct default_placement {
  using type = place_by_cost<Pipeline>;
};
template <>
struct default_placement<0> {
  using type = place_all<>;
};

template <class Capacity, class Mesh, class Rows, class Schedule>
constexpr extents capacity_of() {
  extents e = Capacity::capacity;
  e.splits_backward = splits_backward<Schedule>;
  e.ranks = Mesh::mesh_tensor;
  e.rows_over_tensor = e.ranks > 1 ? Rows::rows_over_tensor : spread::invariant;
  return e;
}

/// Stands for the capacity where none is given.
struct no_capacity {
  static constexpr extents capacity{};
};

template <class Capacity>
struct given_capacity {
  static_assert(!std::same_as<Capacity, no_capacity>,
                "mpx::recipe requires its user to give mpx::microbatch_capacity<sequences<B>, tokens<T>>");
};

/// f16 holds nothing smaller than 6e-8: gradients vanish in it unless the loss is scaled.
template <class Compute, class LossScaling>
struct kept_gradients {
  static_assert(!std::same_as<Compute, f16> || !std::same_as<LossScaling, no_loss_scaling>,
                "mpx::recipe requires f16 arithmetic to have loss scaling");
};

}  // namespace detail

/// The policies of a run, in any order. Left out: one device, or a balanced cut over the mesh's pipeline axis; one
/// microbatch, f32, no loss scaling, no clipping, a constant rate, adam, activations kept, whole rows; among the settings a dropout
/// rate of 0.1. The microbatch capacity must be given.
/// Errors  compile time: an argument that is no policy, a policy of the wrong form, two of one kind; f16 arithmetic
///         without loss scaling
template <class... Policies>
struct recipe {
  using s = detail::slot;
  using mesh = typename detail::pick<s::mesh, mpx::mesh<>, Policies...>::type;
  using schedule = typename detail::pick<s::schedule, gpipe<microbatches<1>>, Policies...>::type;
  using placement = typename detail::dealt<
      typename detail::pick<s::placement, typename detail::default_placement<mesh::mesh_pipeline>::type, Policies...>::type,
      schedule>::type;
  using precision = typename detail::pick<s::precision, f32_only, Policies...>::type;
  using loss_scaling = typename detail::pick<s::loss_scaling, no_loss_scaling, Policies...>::type;
  using clipping = typename detail::pick<s::clipping, no_clipping, Policies...>::type;
  using lr = typename detail::pick<s::lr_schedule, constant_rate, Policies...>::type;
  using optimizer = typename detail::pick<s::optimizer, adam, Policies...>::type;
  using recompute = typename detail::pick<s::recompute, keep_activations, Policies...>::type;
  using buckets = typename detail::pick<s::buckets, gradient_buckets<>, Policies...>::type;
  using sharding = typename detail::pick<s::sharding, replicate_optimizer, Policies...>::type;
  using default_sum = std::conditional_t<sharding::divides_gradients, sum_each_microbatch, sum_in_order>;
  using gradient_sum = typename detail::pick<s::gradient_sum, default_sum, Policies...>::type;
  using rows = typename detail::pick<s::rows, whole_rows, Policies...>::type;
  using capacity_policy = typename detail::pick<s::capacity, detail::no_capacity, Policies...>::type;
  static constexpr extents capacity = detail::capacity_of<capacity_policy, mesh, rows, schedule>();
  static constexpr bool divides_optimizer = mesh::mesh_data > 1 && sharding::divides_optimizer;  ///< among data ranks
  static constexpr bool divides_gradients = mesh::mesh_data > 1 && sharding::divides_gradients;
  static constexpr bool sums_each_microbatch = mesh::mesh_data > 1 && gradient_sum::sums_each_microbatch;
  static constexpr auto budgets = detail::budgets_of<Policies...>();

  /// The numbers of a run: none of them decides a type or a byte, so none needs compiling again.
  struct settings {
    typename recipe::clipping clipping{};
    typename recipe::lr lr{};
    typename recipe::optimizer optimizer{};
    typename recipe::loss_scaling loss_scaling{};
    std::uint64_t seed = 1;
    float dropout = 0.1f;
    float label_smoothing = 0.0f;
    int deadline_ms = 600'000;  ///< a device that waits longer for another one gives up, with an error
  };

  using formed = decltype((verdict_on<detail::checked_policy<Policies, detail::slot_of<Policies>()>>(), ...));
  using single = decltype(verdict_on<detail::single_policies<Policies...>>());
  using given = decltype(verdict_on<detail::given_capacity<capacity_policy>>());
  using kept = decltype(verdict_on<detail::kept_gradients<typename precision::compute, loss_scaling>>());
};

}  // namespace mpx
