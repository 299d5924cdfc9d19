/// @file
/// A placed model at work: one thread and one arena for each device, stages joined by channels.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <mutex>
#include <span>
#include <string>
#include <system_error>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include <mpx/backend/concepts.hpp>
#include <mpx/optim/decision.hpp>
#include <mpx/plan/plan.hpp>
#include <mpx/runtime/links.hpp>
#include <mpx/runtime/stage.hpp>
#include <mpx/runtime/step.hpp>
#include <mpx/runtime/ties.hpp>

namespace mpx {

/// Executes a plan. Threads sleep between jobs; a job that fails on one device stops on all of them, before any
/// parameter has changed.
/// Errors  run() throws what the first failing device threw
template <class Model, class Recipe, backend Backend>
class executor {
 public:
  using compute = typename Recipe::precision::compute;
  using accumulate = accumulator_t<compute>;
  using machine = typename Backend::machine;
  static constexpr auto& plan = plan_v<Model, Recipe>;
  static constexpr std::size_t S = plan.stage_count;
  static constexpr std::size_t D = plan.device_count;

  executor(std::uint64_t seed, std::chrono::milliseconds deadline)
      : devices_(make_devices(std::make_index_sequence<D>{})),
        links_(plan, arenas(), deadline),
        all_devices_("all devices", static_cast<int>(D), deadline),
        stages_(make_stages(std::make_index_sequence<S>{})) {
    find_ties(deadline);
    each_stage([&](auto& s) { s.initialise(seed); });
    copy_tied_values();
    try {
      for (std::size_t d = 0; d < D; ++d) threads_.emplace_back([this, d] { work_on(d); });
    } catch (std::system_error const& e) {
      stop_threads();
      throw error({"a device's thread cannot be started", "trainer", std::to_string(D) + " threads", e.what()});
    }
  }
  executor(executor const&) = delete;
  executor& operator=(executor const&) = delete;

  ~executor() { stop_threads(); }

  /// Gives a job to all devices and waits until every one of them has ended it.
  job_result run(job<Recipe> const& asked) {
    {
      std::unique_lock lock(mutex_);
      job_ = asked;
      failure_ = nullptr;
      running_ = D;
      ++generation_;
      begin_.notify_all();
      end_.wait(lock, [&] { return running_ == 0; });
    }
    if (failure_) {
      links_.each([](auto& c) { c.open(); });
      all_devices_.open();
      for (auto& t : ties_) t.meeting().open();
      std::rethrow_exception(failure_);
    }
    job_result out;
    accumulate sum = 0;
    for (accumulate one : losses_) sum += one;  // in microbatch order
    out.loss_sum = static_cast<double>(sum);
    out.finite = decision_.finite;
    out.gradient_norm = decision_.norm;
    return out;
  }

  /// Calls f(stage) for each stage. Not while a job runs.
  template <class F>
  void each_stage(F&& f) {
    std::apply([&](auto&... s) { (f(s), ...); }, stages_);
  }

  /// Tied copies take their owners' values, and every compute-type copy its master's. Not while a job runs.
  void copy_tied_values() {
    for (auto& t : ties_) t.copy_values(devices_[0].processor);
    each_stage([](auto& s) { s.refresh_weights(); });
  }

  /// One parameter by its layer's row and its index there. Not while a job runs.
  [[nodiscard]] parameter_view<compute> find(std::size_t layer, std::size_t index) {
    parameter_view<compute> found;
    each_stage([&](auto& s) {
      if (layer < s.info().first || layer >= s.info().end) return;
      s.each_parameter([&](auto const& p) {
        if (p.layer == layer && p.index == index) found = p;
      });
    });
    return found;
  }

  [[nodiscard]] links<Backend, S>& channels() { return links_; }
  /// A device's one allocation. Not while a job runs.
  [[nodiscard]] std::span<std::byte> arena(std::size_t device) {
    return {devices_[device].arena.data(), devices_[device].arena.size()};
  }
  /// Bytes that a device's maths library holds beside the plan.
  [[nodiscard]] std::size_t workspace_bytes(std::size_t device) const { return devices_[device].processor.workspace_bytes(); }

 private:
  struct device_state {
    explicit device_state(std::size_t bytes) : arena(bytes) {}
    typename Backend::memory arena;
    machine processor;
  };

  template <std::size_t... I>
  static std::array<device_state, D> make_devices(std::index_sequence<I...>) {
    static_assert(((plan.devices[I].kind == Backend::kind) && ...),
                  "mpx::trainer requires its backend to offer every kind of device that the placement names");
    return {device_state(plan.arena_bytes[I])...};
  }
  std::array<std::byte*, D> arenas() {
    std::array<std::byte*, D> begin{};
    for (std::size_t d = 0; d < D; ++d) begin[d] = devices_[d].arena.data();
    return begin;
  }

  template <std::size_t I>
  using stage_t = stage<machine, compute, stage_layers_t<Model, Recipe, I>>;
  template <class Indices>
  struct stage_tuple;
  template <std::size_t... I>
  struct stage_tuple<std::index_sequence<I...>> {
    using type = std::tuple<stage_t<I>...>;
  };
  using stages = typename stage_tuple<std::make_index_sequence<S>>::type;

  template <std::size_t... I>
  stages make_stages(std::index_sequence<I...>) {
    auto const tables = [](std::size_t s) {
      return stage_tables{&plan.stages[s],   plan.layers.data(),      plan.places.data(),    plan.routes.routes.data(),
                          plan.routes.held.data(), plan.routes.held_count, plan.capacity};
    };
    auto const device = [this](std::size_t s) -> device_state& { return devices_[plan.stages[s].device_index]; };
    return stages{stage_t<I>(tables(I), device(I).processor, device(I).arena.data())...};
  }

  /// Calls f(stage) for the stage with this number.
  template <class F>
  void on_stage(std::size_t number, F&& f) {
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      ((I == number ? f(std::get<I>(stages_)) : void()), ...);
    }(std::make_index_sequence<S>{});
  }

  /// Calls f(stage) for each stage of this device.
  template <class F>
  void each_stage_of(std::size_t d, F&& f) {
    each_stage([&](auto& s) {
      if (s.info().device_index == d) f(s);
    });
  }

  void stop_threads() {
    {
      std::scoped_lock const lock(mutex_);
      job_.kind = job_kind::finish;
      ++generation_;
    }
    begin_.notify_all();
    for (auto& t : threads_) t.join();
  }

  // --- a device's thread ---------------------------------------------------------------------------------------------
  void work_on(std::size_t d) {
    std::uint64_t seen = 0;
    for (;;) {
      {
        std::unique_lock lock(mutex_);
        begin_.wait(lock, [&] { return generation_ != seen; });
        seen = generation_;
        if (job_.kind == job_kind::finish) return;
      }
      try {
        if (job_.kind == job_kind::train) train(d);
        else evaluate(d);
      } catch (...) {
        fail(std::current_exception());
      }
      std::scoped_lock const lock(mutex_);
      if (--running_ == 0) end_.notify_one();
    }
  }

  /// Keeps the first failure; whoever waits for this device wakes and stops too.
  void fail(std::exception_ptr what) {
    {
      std::scoped_lock const lock(mutex_);
      if (failure_) return;
      failure_ = std::move(what);
    }
    links_.each([](auto& c) { c.abort(); });
    all_devices_.abort();
    for (auto& t : ties_) t.meeting().abort();
  }

  void train(std::size_t d) {
    each_stage_of(d, [](auto& stage) { stage.clear_gradients(); });
    for (std::size_t i = plan.actions.begin[d]; i < plan.actions.begin[d + 1]; ++i) execute(plan.actions.actions[i]);
    for (auto& t : ties_) t.sum_gradients(d);
    each_stage_of(d, [&](auto& stage) { sum_squares(stage); });
    all_devices_.barrier(static_cast<int>(d));
    // From here on nothing throws: either every device updates its parameters, or none does.
    update_decision const decision = decide();
    if (d == 0) decision_ = decision;
    if (!decision.finite) return;
    each_stage_of(d, [&](auto& stage) { update(stage, decision); });
  }

  void evaluate(std::size_t d) {
    for (int m = 0; m < static_cast<int>(plan.microbatches); ++m)
      for (std::size_t s = 0; s < S; ++s) {
        if (plan.stages[s].device_index != d) continue;
        int const stage = static_cast<int>(s);
        if (s > 0) execute({action_kind::receive_forward, stage, m, 0});
        execute({action_kind::forward, stage, m, 0});
        if (s + 1 < S) execute({action_kind::send_forward, stage, m, 0});
      }
  }

  void execute(action const& a) {
    microbatch const part = split(job_.data->size, a.microbatch, static_cast<int>(plan.microbatches));
    std::size_t const s = static_cast<std::size_t>(a.stage);
    on_stage(s, [&](auto& stage) {
      switch (a.kind) {
        case action_kind::forward: {
          stage.load_feeds(a.slot, *job_.data, part);
          float* const capture = job_.capture ? job_.capture + static_cast<std::size_t>(part.first_sequence) * capture_width() : nullptr;
          stage.forward(job_.values, part, a.slot, &losses_[static_cast<std::size_t>(a.microbatch)], capture);
          break;
        }
        case action_kind::backward:
          stage.backward(job_.values, part, a.slot);
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
            links_.backward(s, k).receive(held < 0 ? stage.incoming_gradient() : stage.held_gradient(held), bytes);
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

  template <class F>
  void each_stream(std::size_t link, microbatch const& part, F&& f) {
    for (std::size_t k = 0; k < plan.links[link].streams; ++k) {
      auto const& s = plan.links[link].stream[k];
      f(k, plan.links[link].held[k], static_cast<std::size_t>(part.size.rows(s.on)) * s.width * sizeof(compute));
    }
  }

  /// Width of the logits: what the last layer takes.
  static constexpr std::size_t capture_width() { return plan.layers[plan.layer_count - 1].takes.width; }

  // --- gradients to parameters -----------------------------------------------------------------------------------------
  /// One tie for each owner, in the order of their first copies.
  void find_ties(std::chrono::milliseconds deadline) {
    auto const holder = [this](std::size_t layer, std::size_t index) {
      auto const p = find(layer, index);
      return tie_holder<accumulate>{plan.index_of(plan.placement[layer]), p.master, p.gradient};
    };
    for (auto one = plan.ties.begin(); one != plan.ties.end(); ++one) {
      auto const same = [&](tie const& other) { return other.with(*one); };
      if (std::any_of(plan.ties.begin(), one, same)) continue;
      std::vector holders{holder(one->owner_layer, one->owner_parameter)};
      for (auto copy = one; copy != plan.ties.end(); ++copy)
        if (same(*copy)) holders.push_back(holder(copy->copy_layer, copy->copy_parameter));
      ties_.emplace_back(holders, one->count, D, deadline);
    }
  }

  template <class Stage>
  void sum_squares(Stage& stage) {
    for (std::size_t r = stage.info().first; r < stage.info().end; ++r) squares_[r] = 0;
    auto& processor = devices_[stage.info().device_index].processor;
    stage.each_parameter([&](auto const& p) {
      if (p.info->tied_to.empty()) squares_[p.layer] += processor.sum_of_squares(p.gradient, p.info->count);
    });
  }

  [[nodiscard]] update_decision decide() const {
    accumulate squares = 0, loss = 0;
    for (accumulate one : squares_) squares += one;  // in the model's order, whatever the placement
    for (accumulate one : losses_) loss += one;
    return decide_update(job_.clipping, squares, loss, job_.loss_scale);
  }

  template <class Stage>
  void update(Stage& stage, update_decision const& decision) noexcept {
    constexpr std::size_t count = static_cast<std::size_t>(Recipe::optimizer::states);
    auto& processor = devices_[stage.info().device_index].processor;
    stage.each_parameter([&](auto const& p) {
      std::array<accumulate*, count> states{};
      for (std::size_t k = 0; k < count; ++k) states[k] = p.states + k * p.state_stride;
      processor.template update<typename Recipe::optimizer>(
          constants_for(job_.optimizer, job_.constants, static_cast<int>(p.info->rank)), p.master, p.weights, p.gradient, states,
          p.info->count, static_cast<accumulate>(decision.factor), element_bound<typename Recipe::clipping>{job_.clipping});
    });
  }

  std::array<device_state, D> devices_;
  links<Backend, S> links_;
  typename Backend::group all_devices_;
  stages stages_;
  std::deque<tied_values<typename Backend::group, accumulate>> ties_;  ///< every device walks them in this order
  std::array<accumulate, plan.microbatches> losses_{};
  std::array<accumulate, plan.layer_count> squares_{};  ///< of each layer's gradients
  update_decision decision_{};

  std::mutex mutex_;
  std::condition_variable begin_, end_;
  job<Recipe> job_{};
  std::uint64_t generation_ = 0;
  std::size_t running_ = 0;
  std::exception_ptr failure_;
  std::vector<std::thread> threads_;
};

}  // namespace mpx
