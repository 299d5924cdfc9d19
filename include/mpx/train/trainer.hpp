/// @file
/// Trains a model under a recipe.
#pragma once

#include <chrono>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <mpx/backend/concepts.hpp>
#include <mpx/core/error.hpp>
#include <mpx/io/batch_of.hpp>
#include <mpx/layer/run.hpp>
#include <mpx/runtime/executor.hpp>
#include <mpx/train/check_batch.hpp>
#include <mpx/train/report.hpp>

namespace mpx {

/// Owns the devices' threads and memory, and takes one step for each batch.
/// Errors  everything throws before any parameter has changed: mpx::error, or what a layer of the user's own threw; a
///         failing device stops all others
template <class Model, class Recipe, backend Backend>
class basic_trainer {
 public:
  using settings = typename Recipe::settings;
  using accumulate = accumulator_t<typename Recipe::precision::compute>;
  static constexpr auto& plan = plan_v<Model, Recipe>;
  using checked_layers = keeps_layouts<Model, typename replica<Model, Recipe, Backend>::context>;
  using checked_halves = keeps_halves<Model, Recipe::capacity.splits_backward>;

  explicit basic_trainer(settings const& chosen = {})
      : settings_(checked(chosen)),
        scaling_(settings_.loss_scaling.initial()),
        executor_(settings_.seed, std::chrono::milliseconds(settings_.deadline_ms)) {}

  /// One step: every microbatch forward and backward, then unscale, clip and update, on all devices.
  step_report step(batch const& data) {
    auto const begin = std::chrono::steady_clock::now();
    check_batch(plan, data, true);
    step_report report;
    report.tokens = count_targets(data);

    long const next = steps_ + 1;
    report.loss_scale = settings_.loss_scaling.scale(scaling_);
    report.learning_rate = settings_.lr.rate(next);
    if (!(report.loss_scale > 0 && std::isfinite(report.loss_scale)))
      throw error({"bad loss scale", "settings", "a finite number above 0", std::to_string(report.loss_scale)});
    if (!std::isfinite(report.learning_rate))
      throw error({"bad learning rate", "settings", "a finite number", std::to_string(report.learning_rate)});
    job<Recipe> work;
    work.kind = job_kind::train;
    work.data = &data;
    work.values = {run_mode::training, settings_.seed, static_cast<std::uint32_t>(next), settings_.dropout,
                   settings_.label_smoothing, report.loss_scale / static_cast<float>(report.tokens)};
    work.loss_scale = report.loss_scale;
    work.clipping = settings_.clipping;
    work.optimizer = settings_.optimizer;
    work.constants = settings_.optimizer.at(next, report.learning_rate);
    job_result const result = executor_.run(work);

    scaling_ = settings_.loss_scaling.next(scaling_, result.finite);
    report.skipped = !result.finite;
    if (result.finite) steps_ = next;
    else ++skipped_;
    report.step = steps_;
    report.loss = result.loss_sum / static_cast<double>(report.tokens);
    report.gradient_norm = result.gradient_norm;
    report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return report;
  }

  /// Mean loss over the batch's target tokens, without dropout; nothing changes.
  double evaluate(batch const& data) {
    check_batch(plan, data, true);
    auto const tokens = static_cast<double>(count_targets(data));
    return run_forward(data, nullptr).loss_sum / tokens;
  }

  /// Logits of the token after each sequence's last one, as its length says. Targets may be left out.
  /// Shapes  [sequences, V]
  std::vector<float> next_token_logits(batch const& data) {
    check_batch(plan, data, false);
    std::vector<float> logits(static_cast<std::size_t>(data.size.sequences) * vocabulary(),
                              std::numeric_limits<float>::quiet_NaN());
    run_forward(data, logits.data());
    if (std::isnan(logits.front()) && std::isnan(logits.back()))
      throw error({"no logits", "next_token_logits", "a loss that writes context.capture, and finite weights", "not a number"});
    return logits;
  }

  // The same for a batch that says which feeds it has.
  // Errors  compile time: the model reads a feed that the data set does not offer
  template <class Offers>
  step_report step(batch_of<Offers> const& data) {
    detail::check_feeds<Model, Offers, true>();
    return step(static_cast<batch const&>(data));
  }
  template <class Offers>
  double evaluate(batch_of<Offers> const& data) {
    detail::check_feeds<Model, Offers, true>();
    return evaluate(static_cast<batch const&>(data));
  }
  template <class Offers>
  std::vector<float> next_token_logits(batch_of<Offers> const& data) {
    detail::check_feeds<Model, Offers, false>();
    return next_token_logits(static_cast<batch const&>(data));
  }

  /// V, the number of tokens that logits are given for.
  [[nodiscard]] static constexpr std::size_t vocabulary() { return plan.layers[plan.layer_count - 1].takes.width; }

  [[nodiscard]] long steps() const { return steps_; }
  [[nodiscard]] long skipped_steps() const { return skipped_; }

  /// Master values of the parameter with this full name, for example "encoder.layers.0.mlp.up.weight", all tensor ranks'
  /// slices together.
  /// Errors  throws mpx::error when no parameter has this name
  [[nodiscard]] std::vector<accumulate> parameter(std::string_view full_name) {
    auto const named = find(full_name, 0, 0);
    return gathered(named.shared ? named.info->tied_to : full_name, [](auto const& p) { return p.master; });
  }
  /// Its gradient in the last step: of the whole batch, scaled by the loss scale, before clipping.
  [[nodiscard]] std::vector<accumulate> gradient(std::string_view full_name) {
    return gathered(full_name, [](auto const& p) { return p.gradient; });
  }
  /// Replaces a parameter's values on every device; tied copies and compute-type copies follow, whichever holder is named.
  /// Errors  throws mpx::error when no parameter has this name, or its size is another one
  void set_parameter(std::string_view full_name, std::span<accumulate const> values) {
    auto const named = find(full_name, 0, 0);
    std::string_view const owner = named.info->tied_to.empty() ? full_name : named.info->tied_to;
    if (values.size() != named.info->size())
      throw error({"parameter has another size", std::string(full_name), std::to_string(named.info->size()) + " values",
                   std::to_string(values.size())});
    auto const set = [&](std::size_t layer, std::size_t index) {
      for (std::size_t d = 0; d < plan.mesh.data; ++d)
        for (std::size_t t = 0; t < plan.mesh.tensor; ++t)
          executor_.at(d, t).set_values(layer, index, [&](parameter_info const& p, std::size_t i) { return values[p.whole_index(i, t)]; });
    };
    auto const owned = find(owner, 0, 0);
    set(owned.layer, owned.index);
    for (auto const& tie : plan.ties)
      if (tie.owner_layer == owned.layer && tie.owner_parameter == owned.index) set(tie.copy_layer, tie.copy_parameter);
  }

  /// Calls f(full name, parameter_view) for each parameter in the model's order, tied copies included, as data and tensor
  /// rank 0 holds it, in its device's memory. What data ranks divide is null there: `parameter` and `gradient` put it together.
  template <class F>
  void each_parameter(F&& f) {
    executor_.at(0, 0).each_stage([&](auto& s) {
      s.each_parameter([&](auto const& p) { f(plan.layers[p.layer].name.text() + '.' + std::string(p.info->label), p); });
    });
  }

  [[nodiscard]] executor<Model, Recipe, Backend>& devices() { return executor_; }

 private:
  /// A policy that asks for the model's width by having a member of that name gets it, unless the user gave one.
  static settings checked(settings s) {
    if constexpr (requires { s.lr.width; Model::width; })
      if (s.lr.width == 0) s.lr.width = static_cast<decltype(s.lr.width)>(Model::width);
    if (!(s.dropout >= 0.0f && 1.0f > s.dropout)) throw error({"bad dropout rate", "settings", "0 or more, below 1", std::to_string(s.dropout)});
    if (!(s.label_smoothing >= 0.0f && 1.0f > s.label_smoothing))
      throw error({"bad label smoothing", "settings", "0 or more, below 1", std::to_string(s.label_smoothing)});
    if (s.deadline_ms <= 0) throw error({"bad deadline", "settings", "1 ms or more", std::to_string(s.deadline_ms)});
    return s;
  }

  /// Targets that are not padding: what the loss, the last layer, is divided by.
  /// Errors  throws mpx::error when there is none
  static std::size_t count_targets(batch const& data) {
    std::size_t tokens = 0;
    for (auto const& feed : plan.layers[plan.layer_count - 1].feeds)
      if (feed.padded)
        for (auto id : data.find(feed.label)->values) tokens += id >= 0;
    if (tokens == 0)
      throw error({"no target tokens", data.origin.empty() ? "batch" : data.origin, "at least one target that is not padding", "none"});
    return tokens;
  }

  job_result run_forward(batch const& data, float* capture) {
    job<Recipe> work;
    work.kind = job_kind::evaluate;
    work.data = &data;
    work.values.mode = run_mode::evaluation;
    work.values.seed = settings_.seed;
    work.capture = capture;
    return executor_.run(work);
  }

  [[nodiscard]] auto find(std::string_view full_name, std::size_t data_rank, std::size_t tensor_rank) {
    parameter_view<typename Recipe::precision::compute> found;
    executor_.at(data_rank, tensor_rank).each_stage([&](auto& s) {
      s.each_parameter([&](auto const& p) {
        if (detail::is_parameter(full_name, plan.layers[p.layer].name, p.info->label)) found = p;
      });
    });
    if (!found.info) throw error({"no such parameter", "trainer", "the full name of a parameter", '"' + std::string(full_name) + '"'});
    return found;
  }

  /// A parameter's values, from the slices of all tensor ranks, and of the data ranks that divide it.
  template <class Values>
  [[nodiscard]] std::vector<accumulate> gathered(std::string_view full_name, Values values_of) {
    auto const named = find(full_name, 0, 0);
    std::vector<accumulate> whole(named.info->size());
    for (std::size_t d = 0; d < (Recipe::divides_optimizer ? plan.mesh.data : 1); ++d)
      for (std::size_t t = 0; t < plan.mesh.tensor; ++t) {
        auto const p = executor_.at(d, t).find_updated(named.layer, named.index);
        std::vector<accumulate> slice(p.count);
        executor_.at(d, t).download(named.layer, slice.data(), values_of(p), slice.size() * sizeof(accumulate));
        for (std::size_t i = 0; i < p.count; ++i) whole[p.info->whole_index(p.first + i, t)] = slice[i];
      }
    return whole;
  }

  settings settings_;
  typename Recipe::loss_scaling::state scaling_;
  executor<Model, Recipe, Backend> executor_;
  long steps_ = 0;
  long skipped_ = 0;
};

}  // namespace mpx
