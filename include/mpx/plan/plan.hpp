/// @file
/// Everything that is known of a run before it starts, as one constexpr value.
#pragma once

#include <array>
#include <cstddef>

#include <mpx/core/units.hpp>
#include <mpx/plan/actions.hpp>
#include <mpx/plan/budget.hpp>
#include <mpx/plan/sections.hpp>
#include <mpx/plan/memory.hpp>
#include <mpx/plan/mesh.hpp>
#include <mpx/plan/partition.hpp>
#include <mpx/plan/tied_holders.hpp>
#include <mpx/plan/verify.hpp>

namespace mpx {

/// Bytes of one device by kind.
struct memory_use {
  bytes weights, master, gradients, optimizer, constants, activations, scratch, channels;

  [[nodiscard]] constexpr bytes total() const {
    return weights + master + gradients + optimizer + constants + activations + scratch + channels;
  }
};

/// What a model, cut and scheduled by a recipe, needs and does. Over a mesh, every data and tensor rank has the same plan:
/// this is that of one of them, whose stages are the pipeline axis.
template <std::size_t Layers, std::size_t Stages, std::size_t Devices, class Actions, std::size_t Ties>
struct plan {
  static constexpr std::size_t layer_count = Layers;
  static constexpr std::size_t stage_count = Stages;
  static constexpr std::size_t device_count = Devices;
  static constexpr std::size_t link_count = Stages - 1;

  extents capacity;
  element_sizes elements;
  mesh_shape mesh;
  std::size_t microbatches = 0;  ///< of one data rank
  std::size_t data_sums = 0;     ///< how often gradients are summed over the data ranks in a step
  std::array<layer_info, Layers> layers{};
  std::array<device, Layers> placement{};
  std::array<layer_place, Layers> places{};
  routing<Layers> routes{};
  std::array<stage_info, Stages> stages{};
  std::array<link_info, Stages> links{};  ///< links[s] joins stages s and s + 1; the last one is empty
  std::array<device, Devices> devices{};
  std::array<std::size_t, Devices> arena_bytes{};
  Actions actions{};
  std::array<tie, Ties> ties{};

  [[nodiscard]] constexpr std::size_t index_of(device where) const {
    for (std::size_t d = 0; d < Devices; ++d)
      if (devices[d] == where) return d;
    return Devices;
  }

  /// The arena of a device; 0 bytes for one that holds no layer.
  [[nodiscard]] constexpr bytes bytes_on(device where) const {
    std::size_t const d = index_of(where);
    return {d < Devices ? arena_bytes[d] : 0};
  }

  [[nodiscard]] constexpr memory_use memory_on(device where) const {
    memory_use use;
    for (auto const& s : stages) {
      if (!(s.where == where)) continue;
      use.weights += {s.weights.size};
      use.master += {s.master.size};
      use.gradients += {s.gradients.size + s.waiting_sums.size + s.tied_gradients.size};
      use.optimizer += {s.states.size};
      use.constants += {s.constants.size};
      use.activations += {s.saved.size + s.deferred_gradients.size + s.working.size};
      use.scratch += {s.bucket_buffers.size + s.gradient_buffers.size + s.held_gradients.size + s.outgoing.size + s.scratch.size};
      use.channels += {s.incoming_forward.size + s.incoming_backward.size + s.outgoing_forward.size + s.outgoing_backward.size};
    }
    return use;
  }

  /// Bytes from stage `link` to the next one in a step of full microbatches; as many come back as gradients. Where tensor
  /// ranks hold slices of the rows, those of the rank with most.
  [[nodiscard]] constexpr bytes link_bytes(std::size_t link) const {
    std::size_t sum = 0;
    for (std::size_t k = 0; k < links[link].streams; ++k) sum += links[link].stream[k].most_elements(capacity) * elements.compute;
    return {sum * microbatches};
  }

  /// Bytes that each tensor rank of a stage brings to the others, to be summed or gathered, in a step of full microbatches.
  [[nodiscard]] constexpr bytes tensor_sum_bytes(std::size_t stage) const {
    return {stages[stage].tensor_sums * microbatches + stages[stage].partial_gradients * elements.accumulate};
  }

  /// Bytes of weights that the data ranks of a stage give each other in a step, each its slice, all together.
  [[nodiscard]] constexpr bytes data_gather_bytes(std::size_t stage) const {
    auto const& s = stages[stage];
    return {s.divided ? s.weight_elements * (s.weights.size > 0 ? elements.compute : elements.accumulate) : 0};
  }

  /// Bytes of gradients that each data rank of a stage sums with the others in a step.
  [[nodiscard]] constexpr bytes data_sum_bytes(std::size_t stage) const {
    return {stages[stage].parameter_elements * elements.accumulate * data_sums};
  }

  [[nodiscard]] constexpr std::size_t parameters() const {
    std::size_t sum = 0;
    for (auto const& layer : layers) sum += layer.parameters;
    return sum;
  }

  /// Idle time over total time, all devices together, when time is proportional to FLOPs and backward costs two
  /// forwards, one for each of its halves, and one more where a layer is recomputed.
  [[nodiscard]] constexpr double idle_share() const { return actions.idle_share; }
};

namespace detail {

template <class Model, class Recipe>
constexpr auto make_plan() {
  constexpr auto& layers = layers_v<Model, Recipe>;
  constexpr auto& where = placement_v<Model, Recipe>;
  constexpr std::size_t N = layers.size();
  constexpr std::size_t S = count_stages(runs_v<Model, Recipe>);
  constexpr std::size_t D = count_devices(where);
  constexpr std::size_t M = Recipe::schedule::microbatches;
  constexpr std::size_t T = count_ties<Model>();

  plan<N, S, D, action_lists<S, D, M, tasks_of<typename Recipe::schedule>>, T> out;
  out.capacity = Recipe::capacity;
  out.elements = sizes_of<typename Recipe::precision>;
  out.mesh = {Recipe::mesh::mesh_data, D, Recipe::mesh::mesh_tensor};
  out.microbatches = M;
  out.data_sums = Recipe::mesh::mesh_data == 1 ? 0 : Recipe::sums_each_microbatch ? M : 1;
  out.layers = layers;
  out.placement = where;
  out.routes = routes_v<Model, Recipe>;
  out.ties = ties_v<Model, Recipe>;
  constexpr auto& parameter_places = parameter_places_v<Model, Recipe>;
  for (std::size_t r = 0; r < N; ++r) static_cast<parameter_place&>(out.places[r]) = parameter_places[r];

  std::size_t devices = 0;
  for (device d : where)
    if (out.index_of(d) >= devices) out.devices[devices++] = d;

  constexpr auto bounds = stage_bounds<S>(runs_v<Model, Recipe>);
  std::array<std::size_t, S> device_of_stage{};
  std::array<double, S> forward_cost{}, backward_cost{};
  for (std::size_t s = 0; s < S; ++s) {
    auto& stage = out.stages[s];
    stage.where = where[bounds[s]];
    stage.device_index = device_of_stage[s] = out.index_of(stage.where);
    stage.first = bounds[s];
    stage.end = bounds[s + 1];
    for (std::size_t r = stage.first; r < stage.end; ++r) {
      forward_cost[s] += layers[r].forward_flops;
      backward_cost[s] += (2 + forwards_in_backward(layers[r], Recipe::capacity)) * layers[r].forward_flops;
    }
    if (s + 1 < S) out.links[s] = make_link(layers, out.routes, stage.end, stage.where, where[stage.end]);
  }
  out.actions = make_actions<typename Recipe::schedule, D>(device_of_stage, channel_depth, forward_cost, backward_cost);

  for (std::size_t i = 0; i < T; ++i) {
    std::size_t const stage = meeting_stage(out, i);
    if (stage == S) continue;
    tie const& of = out.ties[i];
    auto const owned = parameter_in_layer<Model, Recipe>(layers[of.owner_layer], of.owner_parameter);
    std::size_t const count = padded_elements(owned.count);
    each_holder(out, i, [&](std::size_t layer, std::size_t) {
      if (!reaches(out.stages[stage].where.kind, where[layer].kind)) out.stages[stage].tied_elements += count;
    });
  }

  memory_sizes const sizes{Recipe::capacity, out.elements, has_master_copy<typename Recipe::precision>,
                           static_cast<std::size_t>(Recipe::optimizer::states), copies_that_wait<Recipe>};
  for (std::size_t s = 0; s < S; ++s) {
    out.stages[s].slots = out.actions.slots[s];
    out.stages[s].deferred = out.actions.deferred[s];
    count_parameters(out.stages[s], parameter_places, layers);
    if constexpr (Recipe::divides_optimizer) divide_stage<Model, Recipe>(out.stages[s]);
    lay_out_stage(out.stages[s], out.places, layers, out.routes, s > 0 ? out.links[s - 1] : link_info{}, out.links[s], s + 1 < S,
                  sizes, out.arena_bytes[device_of_stage[s]]);
  }
  return out;
}

template <class Model, class Recipe>
constexpr auto checked_plan() {
  static_cast<void>(sizeof(Model) + sizeof(Recipe));   // what they say of themselves comes first, and alone
  static_cast<void>(sizeof(verified<Model, Recipe>));  // a mistake is reported here, in one sentence
  if constexpr (verified<Model, Recipe>::sound) {
    constexpr auto made = make_plan<Model, Recipe>();
    constexpr auto excess = find_excess(made, Recipe::budgets);
    static_cast<void>(sizeof(
        device_holds<excess.exists(), on_device<excess.where.kind, excess.where.ordinal>, needed<excess.needed>, available<excess.available>,
                     largest<excess.kinds[0], excess.sizes[0]>, largest<excess.kinds[1], excess.sizes[1]>,
                     largest<excess.kinds[2], excess.sizes[2]>>));
    return made;
  }
}

}  // namespace detail

/// The plan of a model under a recipe.
/// Errors  compile time: see plan/verify.hpp
template <class Model, class Recipe>
inline constexpr auto plan_v = detail::checked_plan<Model, Recipe>();

/// Where the layer with this full name lives, for example device_of<model, recipe, "encoder.layers.1">.
/// Errors  compile time: no layer has this name
template <class Model, class Recipe, fixed_string Layer>
inline constexpr device device_of = detail::named_layer<Model, Recipe, name<Layer>>::where();

}  // namespace mpx
