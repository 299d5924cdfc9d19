/// @file
/// The whole model once: one arena and machine for each device of the pipeline axis, stages joined by channels. Every data
/// and tensor rank of a mesh has one.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <deque>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <mpx/backend/concepts.hpp>
#include <mpx/backend/mixed.hpp>
#include <mpx/optim/decision.hpp>
#include <mpx/optim/update.hpp>
#include <mpx/plan/plan.hpp>
#include <mpx/runtime/devices.hpp>
#include <mpx/runtime/gradients.hpp>
#include <mpx/runtime/links.hpp>
#include <mpx/runtime/passes.hpp>
#include <mpx/runtime/reducer.hpp>
#include <mpx/runtime/stage.hpp>
#include <mpx/runtime/step.hpp>
#include <mpx/runtime/ties.hpp>

namespace mpx {

/// What one data and tensor rank holds and does. Its devices' threads call it, each for its own device.
template <class Model, class Recipe, backend Backend>
class replica {
 public:
  using compute = typename Recipe::precision::compute;
  using accumulate = accumulator_t<compute>;
  using group = typename Backend::group;
  static constexpr auto& plan = plan_v<Model, Recipe>;
  template <device_kind Kind>
  using machine_on = typename backend_on<Backend, Kind>::machine;
  static constexpr std::size_t S = plan.stage_count;
  static constexpr std::size_t P = plan.device_count;
  static constexpr std::size_t T = plan.mesh.tensor;
  static constexpr bool sums_in_a_tree = Recipe::gradient_sum::sums_in_a_tree;
  static constexpr bool sums_apart = sums_in_a_tree || Recipe::sums_each_microbatch;  ///< each microbatch's gradients before they meet
  static constexpr bool divides = Recipe::divides_optimizer;
  static constexpr bool splits = plan.capacity.splits_backward;
  static constexpr bool meets_nobody = plan.mesh.data == 1 && T == 1;  ///< within a pass
  using over_data = std::conditional_t<divides, scattered_over_data, summed_over_data>;
  using over_tensor = also_over_tensor<over_data>;
  using over_mesh = also_over_stages<over_tensor>;
  using updated = std::conditional_t<divides, weights_in_slices, whole_weights>;
  using ranks = std::conditional_t<T == 1, one_rank, rank_of<group, T, plan.capacity.rows_over_tensor>>;
  using context = layer_context<machine_on<plan.devices[0].kind>, compute, ranks, splits>;

  /// Of each device of the pipeline axis: `ranks_of_devices`, which tensor rank this is, beside the others;
  /// `data_groups`, where the data ranks meet.
  replica(std::array<ranks, P> const& ranks_of_devices, std::array<group*, P> const& data_groups, std::size_t data_rank,
          std::uint64_t seed, std::chrono::milliseconds deadline)
      : data_rank_(data_rank),
        tensor_rank_(ranks_of_devices[0].number()),
        devices_(data_rank, tensor_rank_),
        links_(plan, devices_.arenas(), deadline),
        slices_(make_slices()),
        stages_(make_stages(ranks_of_devices, std::make_index_sequence<S>{})) {
    if constexpr (plan.mesh.data > 1) make_reducers(data_groups);
    count_portions();
    find_ties(deadline);
    each_stage([&](auto& s) { s.initialise(seed); });
    copy_tied_values();
  }
  replica(replica const&) = delete;
  replica& operator=(replica const&) = delete;

  // --- a device's part of a pass, called by its thread ---------------------------------------------------------------
  /// Every forward and backward of the device's stages, with what they send and receive. Gradients that are ready are on
  /// their way to the other data ranks.
  [[nodiscard]] device_gradients<from_backward> run_actions(std::size_t device, job<Recipe> const& asked,
                                                            std::span<accumulate> losses) {
    for (std::size_t s = 0; s < S; ++s) {
      if (plan.stages[s].device_index != device) continue;
      backwards_done_[s] = 0;
      if constexpr (plan.mesh.data > 1) reducers_[s].begin_step();
    }
    for (std::size_t i = plan.actions.begin[device]; i < plan.actions.begin[device + 1]; ++i)
      execute(plan.actions.actions[i], asked, losses);
    return device_gradients<from_backward>(device);
  }

  /// Every forward, stage by stage.
  void evaluate(std::size_t device, job<Recipe> const& asked, std::span<accumulate> losses) {
    for (int m = 0; m < static_cast<int>(plan.microbatches); ++m)
      for (std::size_t s = 0; s < S; ++s) {
        if (plan.stages[s].device_index != device) continue;
        int const stage = static_cast<int>(s);
        if (s > 0) execute({action_kind::receive_forward, stage, m, 0}, asked, losses);
        execute({action_kind::forward, stage, m, 0}, asked, losses);
        if (s + 1 < S) execute({action_kind::send_forward, stage, m, 0}, asked, losses);
      }
  }

  /// Gradients become the sum over the data ranks: all of them on each, or this rank's slice.
  [[nodiscard]] device_gradients<over_data> sum_over_data_ranks(device_gradients<from_backward>&& of) {
    if constexpr (plan.mesh.data > 1)
      each_stage_of(of.device(), [&](auto& stage) { reducers_[stage.number()].finish(stage.machine()); });
    return device_gradients<over_data>(of.device());
  }

  /// Gradients of which each tensor rank knows a part become the sum over them. Behind the sum over the data ranks, so that
  /// canonical_sum adds the same numbers in the same order on any number of those.
  [[nodiscard]] device_gradients<over_tensor> sum_over_tensor_ranks(device_gradients<over_data>&& of) {
    each_stage_of(of.device(), [](auto& stage) { stage.template sum_partial_gradients<over_data>(); });
    return device_gradients<over_tensor>(of.device());
  }

  /// Gradients of tied parameters become the sum over all who share them.
  [[nodiscard]] device_gradients<over_mesh> sum_over_stages(device_gradients<over_tensor>&& of) {
    if (!ties_.empty())
      devices_.on(of.device(), [&](auto& d) {
        for (auto& t : ties_) t.sum_gradients(of.device(), d.processor);
      });
    return device_gradients<over_mesh>(of.device());
  }

  /// Squares of the gradients that this rank updates, portion by portion.
  /// Shapes  squares: [portions of the model], as in first_portion()
  template <class State>
  void add_squares_of(device_gradients<State> const& of, std::span<square_sums<accumulate>> squares) {
    each_stage_together(of.device(), [&](auto& stage) {
      stage.template each_typed_run<State>([&](auto const& p) {
        if (!p.at.info->tied_to.empty()) return;  // a copy's gradient is its owner's
        auto const sums = squares.subspan(first_portion_[p.at.layer] + p.at.portion, portions_in(p.at.count));
        std::ranges::fill(sums, square_sums<accumulate>{});
        add_squares(stage.machine(), sums.data(), p.gradient(), p.at.count);
      });
    });
  }

  /// The optimizer's step on what this rank updates. `factor`: of every gradient, or decided_by_machine.
  template <class State, class Factor>
  [[nodiscard]] auto update(device_gradients<State> const& of, job<Recipe> const& asked, Factor factor) noexcept(is_decided<Factor>) {
    constexpr std::size_t count = static_cast<std::size_t>(Recipe::optimizer::states);
    each_stage_together(of.device(), [&](auto& stage) {
      stage.template each_typed_run<State>([&](auto const& p) {
        if (p.at.shared) return;
        std::array<accumulate*, count> states{};
        for (std::size_t k = 0; k < count; ++k) states[k] = p.at.states + k * p.at.state_stride;
        update_parameter<typename Recipe::optimizer>(
            stage.machine(), constants_for(asked.optimizer, asked.constants, static_cast<int>(p.at.info->rank)), p.master(),
            p.weights(), p.gradient(), states, p.at.count, factor, element_bound<typename Recipe::clipping>{asked.clipping});
      });
    });
    return updated_weights<updated>(of.device());
  }

  /// There is one device, and its machine decides by itself.
  static constexpr bool decides_by_itself = plan.mesh.devices() == 1 && decides_updates<machine_on<plan.devices[0].kind>>;

  /// Before the first step: where the host reads losses and squares, of which each step leaves its own there.
  void prepare_to_decide(std::span<accumulate> losses, std::span<square_sums<accumulate>> squares) {
    static_assert(sizeof(square_sums<accumulate>) == 2 * sizeof(accumulate));
    devices_.template at<0>().processor.prepare_to_decide(
        losses, std::span(reinterpret_cast<accumulate*>(squares.data()), 2 * squares.size()), first_portion());
  }
  /// Of the last update, when the device has finished.
  [[nodiscard]] update_decision const& decided() { return devices_.template at<0>().processor.decided(); }
  /// Squares, decision and update, which nobody waits for in between.
  template <class State>
  void update_undecided(device_gradients<State> const& of, job<Recipe> const& asked, std::span<square_sums<accumulate>> squares) {
    auto& machine = devices_.template at<0>().processor;
    run_pass<meets_nobody>(machine, {.kind = pass_kind::update}, [&] {
      machine.begin_to_decide();
      add_squares_of(of, squares);
      machine.decide(decides_update<typename Recipe::clipping>{asked.clipping, asked.loss_scale});
      static_cast<void>(update(of, asked, decided_by_machine{}));  // there is nobody to gather with
    });
  }

  /// Weights become whole on every data rank.
  [[nodiscard]] updated_weights<whole_weights> gather_over_data_ranks(updated_weights<updated>&& of) {
    gather_weights(of.device());
    return updated_weights<whole_weights>(of.device());
  }
  /// The same again, for weights of an earlier step. Nothing changes where they were whole.
  void gather_weights([[maybe_unused]] std::size_t device) {
    if constexpr (divides)
      for (std::size_t s = 0; s < S; ++s)
        if (plan.stages[s].device_index == device)
          on_stage(s, [&](auto& stage) { reducers_[s].gather(stage.all_weights()); });
  }
  /// The calling thread works for this device from now on.
  void use(std::size_t device) { devices_.on(device, [](auto& d) { d.processor.use(); }); }
  /// Everything that a device was asked for is done, and the numbers that it gives the host are written.
  void finish(std::size_t device) {
    devices_.on(device, [](auto& d) { d.processor.finish(); });
  }

  // --- while no pass runs ----------------------------------------------------------------------------------------------
  /// Calls f(stage) for each stage.
  template <class F>
  void each_stage(F&& f) {
    std::apply([&](auto&... s) { (f(s), ...); }, stages_);
  }

  /// Gives a parameter values, element by element as this rank has them. Its tied copies do not follow.
  template <class F>
  void set_values(std::size_t layer, std::size_t index, F&& value_of) {
    parameter_info const& info = *find(layer, index).info;
    on_stage_of(layer, [&](auto& s) { s.set_values(layer, info, [&](std::size_t i) { return value_of(info, i); }); });
  }

  /// Tied copies take their owners' values, and every compute-type copy its master's.
  void copy_tied_values() {
    for (auto& t : ties_)
      t.copy_values([&](std::size_t device, auto f) { devices_.on(device, [&](auto& d) { f(d.processor); }); });
    each_stage([](auto& s) { s.refresh_weights(); });
  }

  /// Gives the host what stands in the memory of the device that a layer lives on.
  void download(std::size_t layer, void* to, void const* from, std::size_t bytes) {
    devices_.on(plan.index_of(plan.placement[layer]), [&](auto& d) {
      d.processor.use();
      d.processor.download(to, from, bytes);
    });
  }

  /// One parameter by its layer's row and its index there.
  [[nodiscard]] parameter_view<compute> find(std::size_t layer, std::size_t index) {
    return found(layer, index, [](auto& stage, auto f) { stage.each_parameter(f); });
  }

  /// The part of a parameter that this data rank updates; of 0 elements when it has none.
  [[nodiscard]] parameter_view<compute> find_updated(std::size_t layer, std::size_t index) {
    return found(layer, index, [](auto& stage, auto f) { stage.each_updated(f); });
  }

  /// Where each layer's portions begin among those of the model, and one more for their number.
  [[nodiscard]] std::span<std::size_t const> first_portion() const { return first_portion_; }

  /// Calls f on everything that a device of this replica may wait in.
  template <class F>
  void each_meeting(F&& f) {
    links_.each(f);
    for (auto& t : ties_) f(t.meeting());
  }

  [[nodiscard]] links<Backend, S>& channels() { return links_; }
  [[nodiscard]] std::span<std::byte> arena(std::size_t device) {
    std::span<std::byte> all;
    devices_.on(device, [&](auto& d) { all = {d.arena.data(), d.arena.size()}; });
    return all;
  }
  /// Bytes that a device's maths library holds beside the plan.
  [[nodiscard]] std::size_t workspace_bytes(std::size_t device) {
    std::size_t bytes = 0;
    devices_.on(device, [&](auto& d) { bytes = d.processor.workspace_bytes(); });
    return bytes;
  }

 private:
  template <std::size_t I>
  using stage_t = stage<machine_on<plan.stages[I].where.kind>, compute, stage_layers_t<Model, Recipe, I>, ranks, splits>;
  template <class Indices>
  struct stage_tuple;
  template <std::size_t... I>
  struct stage_tuple<std::index_sequence<I...>> {
    using type = std::tuple<stage_t<I>...>;
  };
  using stages = typename stage_tuple<std::make_index_sequence<S>>::type;

  template <std::size_t... I>
  stages make_stages(std::array<ranks, P> const& of_device, std::index_sequence<I...>) {
    auto const tables = [&](std::size_t s) {
      return stage_tables{plan.stages.data(),      s,                       plan.layers.data(), plan.places.data(), plan.routes.routes.data(),
                          plan.routes.held.data(), plan.routes.held_count, plan.capacity,      slices_[s]};
    };
    constexpr auto on = [](std::size_t s) { return plan.stages[s].device_index; };
    return stages{stage_t<I>(tables(I), devices_.template at<on(I)>().processor,
                             devices_.template at<on(I)>().arena_memory(), of_device[on(I)])...};
  }

  void make_reducers(std::array<group*, P> const& data_groups) {
    std::array<std::size_t, P> sums{};
    constexpr gradient_ways ways{divides, Recipe::divides_gradients, Recipe::sums_each_microbatch,
                                 sums_in_a_tree ? sum_order::in_pairs : sum_order::one_by_one};
    each_stage([&](auto& stage) {
      std::vector<typename reducer::section> sections;
      std::vector<gradient_bucket> buckets;
      each_section<Model, Recipe>(stage.info(), [&](auto const& s, auto const&) { sections.push_back(s); });
      each_bucket(stage.info(), plan.places, plan.layers, detail::least_bucket<Recipe>, [&](auto const& b) { buckets.push_back(b); });
      std::size_t const d = stage.info().device_index, number = reducers_.size();
      auto const& made = reducers_.emplace_back(stage.gradient_memory(), std::move(buckets),
                                                std::move(sections), slices_[number], ways, *data_groups[d], data_rank_, sums[d]);
      sums[d] += made.numbers();
    });
  }

  /// What this data rank updates of each stage, section by section; stored in memory order.
  [[nodiscard]] std::array<std::vector<held_slice>, S> make_slices() const {
    std::array<std::vector<held_slice>, S> all;
    if constexpr (divides)
      for (std::size_t s = 0; s < S; ++s) {
        each_section<Model, Recipe>(plan.stages[s], [&](auto const& section, auto const&) {
          all[s].push_back({section.begin + section.slices[data_rank_], section.begin + section.slices[data_rank_ + 1], 0});
        });
        for (auto& slice : all[s])
          for (auto const& other : all[s])
            if (other.begin < slice.begin) slice.stored += other.end - other.begin;
      }
    return all;
  }

  void count_portions() {
    each_stage([&](auto& stage) {
      stage.each_layer_portions([&](std::size_t row, std::size_t portions) { first_portion_[row + 1] = first_portion_[row] + portions; });
    });
  }

  /// One tie for each owner, in the order of their first copies.
  void find_ties(std::chrono::milliseconds deadline) {
    auto const holder = [this](std::size_t layer, std::size_t index) {
      auto const whole = find(layer, index), part = find_updated(layer, index);
      tie_holder<accumulate, compute> h{plan.index_of(plan.placement[layer]), {}, part.gradient, part.gradient, {}};
      if (plan.places[layer].shares_weights) return h;
      auto const& held = whole.master ? whole : part;
      h.master = {held.master, held.count};
      if (whole.weights) h.weights = {whole.weights, whole.count};
      return h;
    };
    std::array<std::size_t, S> lent{};  // elements of its memory that a stage has given to ties so far
    for (std::size_t i = 0; i < plan.ties.size(); ++i) {
      if (!is_first_tie(plan, i)) continue;
      std::size_t const owner = plan.ties[i].owner_layer, index = plan.ties[i].owner_parameter, meets = meeting_stage(plan, i);
      device const where = meets < S ? plan.stages[meets].where : plan.placement[owner];
      std::vector<tie_holder<accumulate, compute>> holders;
      each_holder(plan, i, [&](std::size_t layer, std::size_t parameter) {
        auto& h = holders.emplace_back(holder(layer, parameter));
        if (meets == S || reaches(where.kind, plan.placement[layer].kind)) return;
        on_stage(meets, [&](auto& stage) { h.met = stage.tied_gradients() + lent[meets]; });
        lent[meets] += padded_elements(find(owner, index).count);
      });
      ties_.emplace_back(holders, find_updated(owner, index).count, P, deadline, where.kind);
    }
  }

  /// Calls f(stage) for the stage with this number.
  template <class F>
  void on_stage(std::size_t number, F&& f) {
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      ((I == number ? f(std::get<I>(stages_)) : void()), ...);
    }(std::make_index_sequence<S>{});
  }
  /// Calls f(stage) for the stage that holds this layer.
  template <class F>
  void on_stage_of(std::size_t layer, F&& f) {
    each_stage([&](auto& s) {
      if (layer >= s.info().first && layer < s.info().end) f(s);
    });
  }
  /// The one with this layer and index among those that each(stage, f) calls f for.
  template <class Each>
  [[nodiscard]] parameter_view<compute> found(std::size_t layer, std::size_t index, Each each) {
    parameter_view<compute> one;
    on_stage_of(layer, [&](auto& stage) {
      each(stage, [&](auto const& p) {
        if (p.layer == layer && p.index == index) one = p;
      });
    });
    return one;
  }
  /// Calls f(stage) for each stage of this device.
  template <class F>
  void each_stage_of(std::size_t device, F&& f) {
    each_stage([&](auto& s) {
      if (s.info().device_index == device) f(s);
    });
  }

  /// And what f asks a stage's machine for may be done together.
  template <class F>
  void each_stage_together(std::size_t device, F&& f) {
    each_stage_of(device, [&](auto& stage) { run_together(stage.machine(), [&] { f(stage); }); });
  }

  void execute(action const& a, job<Recipe> const& asked, std::span<accumulate> losses) {
    microbatch const part = split(asked.data->size, static_cast<int>(data_rank_ * plan.microbatches) + a.microbatch,
                                  static_cast<int>(plan.mesh.data * plan.microbatches), T, plan.capacity.rows_over_tensor);
    std::size_t const s = static_cast<std::size_t>(a.stage);
    on_stage(s, [&](auto& stage) {
      auto const before = [&](std::size_t row) { prepare_to_reduce(stage, s, row); };
      auto const after = [&](std::size_t row) { reduce(stage, s, row, a.microbatch); };
      bool const replaces = sums_apart || backwards_done_[s] == 0;
      auto const pass = [&](pass_kind kind, auto const& work) {
        run_pass<meets_nobody>(stage.machine(), {kind, a.stage, a.slot, a.deferred, replaces, asked.kind == job_kind::train,
                                                 asked.capture != nullptr, part.size}, work);
      };
      switch (a.kind) {
        case action_kind::forward: {
          stage.load_feeds(a.slot, *asked.data, part);
          float* const capture = asked.capture ? asked.capture + static_cast<std::size_t>(part.first_sequence) * capture_width() : nullptr;
          pass(pass_kind::forward, [&] {
            stage.forward(asked.values, part, a.slot, &losses[static_cast<std::size_t>(a.microbatch)], capture);
          });
          break;
        }
        case action_kind::backward:
          if constexpr (!splits)
            pass(pass_kind::backward, [&] { stage.backward(asked.values, part, a.slot, replaces, before, after); });
          end_pass(stage, a);
          break;
        case action_kind::backward_input:
          if constexpr (splits)
            pass(pass_kind::backward_input, [&] { stage.backward_input(asked.values, part, {a.slot, a.deferred}); });
          break;
        case action_kind::backward_weights:
          if constexpr (splits)
            pass(pass_kind::backward_weights, [&] {
              stage.backward_weights(asked.values, part, {a.slot, a.deferred}, replaces, before, after);
            });
          end_pass(stage, a);
          break;
        case action_kind::receive_forward:
          each_stream(s - 1, part, [&](std::size_t k, int held, std::size_t bytes) {
            links_.forward(s - 1, k).receive(held < 0 ? stage.first_input(a.slot) : stage.held_value(a.slot, held), bytes);
          });
          break;
        case action_kind::send_forward:
          each_stream(s, part, [&](std::size_t k, int held, std::size_t bytes) {
            links_.forward(s, k).send(held < 0 ? stage.outgoing() : stage.held_value(a.slot, held), bytes);
          });
          break;
        case action_kind::receive_backward:
          each_stream(s, part, [&](std::size_t k, int held, std::size_t bytes) {
            links_.backward(s, k).receive(held < 0 ? stage.incoming_gradient(a.deferred) : stage.held_gradient(held), bytes);
          });
          break;
        case action_kind::send_backward:
          each_stream(s - 1, part, [&](std::size_t k, int held, std::size_t bytes) {
            links_.backward(s - 1, k).send(held < 0 ? stage.input_gradient() : stage.held_gradient(held), bytes);
          });
          break;
      }
    });
  }

  /// Before a backward of stage s begins with this layer.
  template <class Stage>
  void prepare_to_reduce([[maybe_unused]] Stage& stage, [[maybe_unused]] std::size_t s, [[maybe_unused]] std::size_t row) {
    if constexpr (plan.mesh.data > 1)
      reducers_[s].enter(stage.machine(), row,
                         [&](accumulate* memory, std::size_t first) { stage.collect_gradients_in(memory, first); });
  }

  /// After a backward of stage s came to the end of this layer. The last backward of a step decides when gradients go,
  /// unless they go for each microbatch.
  template <class Stage>
  void reduce([[maybe_unused]] Stage& stage, [[maybe_unused]] std::size_t s, [[maybe_unused]] std::size_t row,
              [[maybe_unused]] int number) {
    if constexpr (plan.mesh.data > 1) {
      auto const m = static_cast<std::size_t>(number);
      if constexpr (sums_in_a_tree)
        reducers_[s].each_section_of(row, [&](auto const& of) { stage.fold_gradients(m, plan.microbatches, of.begin, of.size()); });
      reducers_[s].leave(row, backwards_done_[s] + 1 == plan.microbatches);
    }
  }

  /// A backward has added all that it has to the gradients of a stage.
  template <class Stage>
  void end_pass(Stage& stage, action const& a) {
    ++backwards_done_[stage.number()];
    if constexpr (plan.mesh.data > 1) reducers_[stage.number()].end_pass();
    else if constexpr (sums_in_a_tree)
      stage.fold_gradients(static_cast<std::size_t>(a.microbatch), plan.microbatches, 0, stage.info().parameter_elements);
  }

  template <class F>
  void each_stream(std::size_t link, microbatch const& part, F&& f) {
    for (std::size_t k = 0; k < plan.links[link].streams; ++k)
      f(k, plan.links[link].held[k], plan.links[link].stream[k].elements(part.size, tensor_rank_) * sizeof(compute));
  }

  /// Width of the logits: what the last layer takes.
  static constexpr std::size_t capture_width() { return plan.layers[plan.layer_count - 1].takes.width; }

  std::size_t data_rank_, tensor_rank_;
  devices_at_work<Model, Recipe, Backend> devices_;
  links<Backend, S> links_;
  std::array<std::vector<held_slice>, S> slices_;  ///< of each stage; empty where nothing is divided
  stages stages_;
  using reducer = gradient_reducer<group, accumulate, plan.mesh.data>;
  std::vector<reducer> reducers_;                ///< of each stage; none on one data rank
  std::array<std::size_t, S> backwards_done_{};  ///< in the step under way; written by the stage's device
  std::array<std::size_t, plan.layer_count + 1> first_portion_{};
  std::deque<tied_values<group, accumulate, compute>> ties_;  ///< every device walks them in this order
};

}  // namespace mpx
