/// @file
/// A model at work on a mesh: one thread for each device, and what they do together in a step.
#pragma once

#include <array>
#include <chrono>
#include <concepts>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <span>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <mpx/backend/concepts.hpp>
#include <mpx/optim/decision.hpp>
#include <mpx/plan/plan.hpp>
#include <mpx/runtime/replica.hpp>
#include <mpx/runtime/step.hpp>

namespace mpx {

/// Executes a plan. Threads sleep between jobs; a job that fails on one device stops on all of them, before any
/// parameter has changed.
/// Errors  run() throws what the first failing device threw
template <class Model, class Recipe, backend Backend>
class executor {
 public:
  using replica_type = replica<Model, Recipe, Backend>;
  using compute = typename replica_type::compute;
  using accumulate = typename replica_type::accumulate;
  using group = typename Backend::group;
  static constexpr auto& plan = plan_v<Model, Recipe>;
  static constexpr mesh_shape mesh = plan.mesh;
  static constexpr std::size_t P = plan.device_count;

  executor(std::uint64_t seed, std::chrono::milliseconds deadline)
      : all_devices_("all devices", static_cast<int>(mesh.devices()), deadline),
        losses_(mesh.data * mesh.tensor * plan.microbatches) {
    for (std::size_t d = 0; d < mesh.data; ++d)
      for (std::size_t p = 0; p < P; ++p)
        add_group(tensor_groups_, "tensor ranks of data rank " + std::to_string(d) + ", device " + std::to_string(p), mesh.tensor,
                  deadline, plan.devices[p].kind);
    for (std::size_t p = 0; p < P; ++p)
      for (std::size_t t = 0; t < mesh.tensor; ++t)
        add_group(data_groups_, "data ranks of device " + std::to_string(p) + ", tensor rank " + std::to_string(t), mesh.data,
                  deadline, plan.devices[p].kind);
    for (std::size_t d = 0; d < mesh.data; ++d)
      for (std::size_t t = 0; t < mesh.tensor; ++t) replicas_.emplace_back(ranks_of(d, t), data_ranks_of(t), d, seed, deadline);
    portions_ = replicas_[0].first_portion();
    squares_.resize(mesh.tensor * portions_.back());
    if constexpr (replica_type::decides_by_itself) replicas_[0].prepare_to_decide(losses_, squares_);
    try {
      for (std::size_t n = 0; n < mesh.devices(); ++n) threads_.emplace_back([this, n] { work_on(mesh.coordinate(n)); });
    } catch (std::system_error const& e) {
      stop_threads();
      throw error({"a device's thread cannot be started", "trainer", std::to_string(mesh.devices()) + " threads", e.what()});
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
      not_gathered_ = false;
      running_ = mesh.devices();
      ++generation_;
      begin_.notify_all();
      end_.wait(lock, [&] { return running_ == 0; });
    }
    if (failure_ || not_gathered_) each_meeting([](auto& m) { m.open(); });
    gathers_first_ = not_gathered_ || (gathers_first_ && failure_);
    if (failure_) std::rethrow_exception(failure_);
    return {static_cast<double>(loss_sum()), decision_.finite, decision_.norm};
  }

  /// One data and tensor rank. Not while a job runs.
  [[nodiscard]] replica_type& at(std::size_t data_rank, std::size_t tensor_rank) {
    return replicas_[data_rank * mesh.tensor + tensor_rank];
  }
  template <class F>
  void each_replica(F&& f) {
    for (auto& r : replicas_) f(r);
  }
  /// Calls f(stage) for each stage of each data and tensor rank. Not while a job runs.
  template <class F>
  void each_stage(F&& f) {
    each_replica([&](auto& r) { r.each_stage(f); });
  }
  /// Tied copies take their owners' values, and every compute-type copy its master's. Not while a job runs.
  void copy_tied_values() {
    each_replica([](auto& r) { r.copy_tied_values(); });
  }

  /// The channels of data and tensor rank 0.
  [[nodiscard]] auto& channels() { return replicas_[0].channels(); }
  /// The one allocation of a device, counted as in mesh_shape. Not while a job runs.
  [[nodiscard]] std::span<std::byte> arena(std::size_t device) {
    auto const c = mesh.coordinate(device);
    return at(c.data, c.tensor).arena(c.stage_device);
  }
  /// Bytes that a device's maths library holds beside the plan.
  [[nodiscard]] std::size_t workspace_bytes(std::size_t device) {
    auto const c = mesh.coordinate(device);
    return at(c.data, c.tensor).workspace_bytes(c.stage_device);
  }
  /// The tensor ranks of a device, and the data ranks: what they have summed.
  [[nodiscard]] group& tensor_group(mesh_coordinate const& c) { return tensor_groups_[c.data * P + c.stage_device]; }
  [[nodiscard]] group& data_group(mesh_coordinate const& c) { return data_groups_[c.stage_device * mesh.tensor + c.tensor]; }

 private:
  /// A group that serves several kinds of device is told in whose memory its ranks' buffers lie.
  static void add_group(std::deque<group>& to, std::string const& name, std::size_t ranks, std::chrono::milliseconds deadline,
                        [[maybe_unused]] device_kind where) {
    if constexpr (std::constructible_from<group, std::string, int, std::chrono::milliseconds, device_kind>)
      to.emplace_back(name, static_cast<int>(ranks), deadline, where);
    else
      to.emplace_back(name, static_cast<int>(ranks), deadline);
  }

  auto ranks_of(std::size_t d, [[maybe_unused]] std::size_t t) {
    std::array<typename replica_type::ranks, P> out{};
    if constexpr (mesh.tensor > 1)
      for (std::size_t p = 0; p < P; ++p) out[p] = {&tensor_groups_[d * P + p], static_cast<int>(t)};
    return out;
  }

  auto data_ranks_of(std::size_t t) {
    std::array<group*, P> out{};
    for (std::size_t p = 0; p < P; ++p) out[p] = &data_groups_[p * mesh.tensor + t];
    return out;
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

  /// Calls f on everything that a device may wait in.
  template <class F>
  void each_meeting(F&& f) {
    each_replica([&](auto& r) { r.each_meeting(f); });
    for (auto& g : tensor_groups_) f(g);
    for (auto& g : data_groups_) f(g);
    f(all_devices_);
  }

  // --- a device's thread ---------------------------------------------------------------------------------------------
  void work_on(mesh_coordinate const& me) {
    std::uint64_t seen = 0;
    auto& mine = at(me.data, me.tensor);
    for (;;) {
      {
        std::unique_lock lock(mutex_);
        begin_.wait(lock, [&] { return generation_ != seen; });
        seen = generation_;
        if (job_.kind == job_kind::finish) return;
      }
      try {
        mine.use(me.stage_device);
        if (gathers_first_) mine.gather_weights(me.stage_device);
        if (job_.kind == job_kind::train) train(me);
        else mine.evaluate(me.stage_device, job_, losses_of(me));
        mine.finish(me.stage_device);
      } catch (...) {
        fail(std::current_exception());
        settle(mine, me.stage_device);
      }
      std::scoped_lock const lock(mutex_);
      if (--running_ == 0) end_.notify_one();
    }
  }

  /// After a failure: what this job has asked for is written while there is still someone who owns it, or never.
  static void settle(replica_type& mine, std::size_t device) noexcept {
    try {
      mine.finish(device);
    } catch (...) {  // the first failure is the one that is told
    }
  }

  /// Keeps the first failure; whoever waits for this device wakes and stops too.
  void fail(std::exception_ptr what) {
    {
      std::scoped_lock const lock(mutex_);
      if (failure_) return;
      failure_ = std::move(what);
    }
    each_meeting([](auto& m) { m.abort(); });
  }

  /// The step has happened, but this device did not get all weights: the next job begins by gathering them.
  void gather_later() {
    {
      std::scoped_lock const lock(mutex_);
      if (not_gathered_) return;
      not_gathered_ = true;
    }
    each_meeting([](auto& m) { m.abort(); });
  }

  void train(mesh_coordinate const& me) {
    auto& mine = at(me.data, me.tensor);
    auto parts = mine.run_actions(me.stage_device, job_, losses_of(me));
    auto const gradients =
        mine.sum_over_stages(mine.sum_over_tensor_ranks(mine.sum_over_data_ranks(std::move(parts))));
    if constexpr (replica_type::decides_by_itself) {
      mine.update_undecided(gradients, job_, squares_);
      mine.finish(me.stage_device);
      decision_ = mine.decided();
      return;
    }
    // Each portion counts once: where gradients are the same on every data rank, the first one's squares are everyone's.
    if (replica_type::divides || me.data == 0)
      mine.add_squares_of(gradients, std::span(squares_).subspan(me.tensor * portions_.back(), portions_.back()));
    mine.finish(me.stage_device);  // losses and squares are there
    all_devices_.barrier(static_cast<int>(mesh.number(me)));
    // From here on no step fails: either every device updates its parameters, or none does. (A GPU that breaks down while it
    // does so is noticed behind it.)
    update_decision const decision = decide();
    if (mesh.number(me) == 0) decision_ = decision;
    if (!decision.finite) return;
    auto weights = mine.update(gradients, job_, static_cast<accumulate>(decision.factor));
    try {
      [[maybe_unused]] updated_weights<whole_weights> const whole = mine.gather_over_data_ranks(std::move(weights));
    } catch (...) {
      gather_later();
    }
  }

  /// Where this device's last stage writes the loss of each of its microbatches.
  [[nodiscard]] std::span<accumulate> losses_of(mesh_coordinate const& me) {
    return std::span(losses_).subspan((me.data * mesh.tensor + me.tensor) * plan.microbatches, plan.microbatches);
  }

  /// In the order of the microbatches of the whole batch. Tensor ranks know the same losses: the first one's count.
  [[nodiscard]] accumulate loss_sum() const {
    accumulate sum = 0;
    for (std::size_t d = 0; d < mesh.data; ++d)
      for (std::size_t m = 0; m < plan.microbatches; ++m) sum += losses_[d * mesh.tensor * plan.microbatches + m];
    return sum;
  }

  [[nodiscard]] update_decision decide() const {
    accumulate squares = 0;
    for (std::size_t l = 0; l < plan.layer_count; ++l) squares += squares_of_layer(l);  // in the model's order
    return decide_update(job_.clipping, squares, loss_sum(), job_.loss_scale);
  }

  /// Copies, then slices, tensor rank by tensor rank. In one loop over copies and slices g++ 12.2 counts some slices twice
  /// at -O2, and none with -fno-tree-vectorize.
  [[nodiscard]] accumulate squares_of_layer(std::size_t l) const {
    accumulate sum = 0;
    for (std::size_t i = portions_[l]; i < portions_[l + 1]; ++i) sum += squares_[i].copies;
    for (std::size_t t = 0; t < mesh.tensor; ++t) {
      accumulate slices = 0;
      for (std::size_t i = portions_[l]; i < portions_[l + 1]; ++i) slices += squares_[t * portions_.back() + i].slices;
      sum += slices;
    }
    return sum;
  }

  group all_devices_;
  std::deque<group> tensor_groups_, data_groups_;
  std::deque<replica_type> replicas_;
  std::vector<accumulate> losses_;                ///< [data ranks, tensor ranks, microbatches]
  std::span<std::size_t const> portions_;         ///< [layers + 1]: where each layer's portions begin among all
  std::vector<square_sums<accumulate>> squares_;  ///< [tensor ranks, portions]: of the reduced gradients
  update_decision decision_{};

  std::mutex mutex_;
  std::condition_variable begin_, end_;
  job<Recipe> job_{};
  std::uint64_t generation_ = 0;
  std::size_t running_ = 0;
  std::exception_ptr failure_;
  bool not_gathered_ = false;   ///< a device could not gather weights behind the update of the step under way
  bool gathers_first_ = false;  ///< nor one of an earlier step: a job begins with that
  std::vector<std::thread> threads_;
};

}  // namespace mpx
