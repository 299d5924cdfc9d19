// The law of every layer: its gradient is the central difference of the loss.
//   g[i] = (loss(p + h e_i) - loss(p - h e_i)) / 2h
// All of it in f64. With the loss near 3 and derivatives near 1, the difference rounds by 2^-53 * 3 / h and leaves out
// h^2 / 6: both are near 3e-11 at h = 1e-5. So gradients above 1e-3 agree to 1e-6 with room for sums that round more.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <mpx/core/random.hpp>
#include <mpx/mpx.hpp>

#include <mpx_test.hpp>

#include "support/f64.hpp"
#include "support/models.hpp"

namespace test {

/// Layers between a table of 13 tokens and a head, 8 wide.
template <class... Layers>
using tiny = mpx::sequential<mpx::token_embedding<13, 8, "inputs">, Layers..., mpx::language_head<8, 13>,
                             mpx::cross_entropy<13>>;

/// Three sequences that do not fill the capacity: sources of at most 5 tokens, targets of at most 7, padded.
inline mpx::batch tiny_batch() { return make_batch(3, 5, 7); }

/// What the law is stated for. With dropout the loss is the one under the masks of step 1.
struct conditions {
  float dropout = 0;
  float label_smoothing = 0;
};

/// Plain gradient descent at rate 0: a step computes every gradient and moves nothing.
template <class Precision, class Placement = mpx::place_all<>, std::size_t Microbatches = 1>
using still_recipe =
    mpx::recipe<Placement, mpx::gpipe<mpx::microbatches<Microbatches>>, Precision, mpx::sgd, mpx::constant_rate,
                mpx::microbatch_capacity<mpx::sequences<4>, mpx::source_tokens<8>, mpx::target_tokens<8>>>;

/// Values that a step cannot tell from those of a trained model: weights whose rows keep an input's size, no vector
/// zero. Biases under "up" stand 4 above or below zero: no difference crosses the kink of a relu behind them.
inline double spread_value(std::string const& name, mpx::parameter_info const& p, std::size_t i) {
  double const unit =
      2 * mpx::uniform(mpx::philox({static_cast<std::uint32_t>(i), 0, 0, 0}, mpx::name_hash(name))[0]) - 1;
  if (p.rank > 1) return unit * std::sqrt(3.0 * static_cast<double>(p.shape[0]) / static_cast<double>(p.count));
  if (name.find("up.") != name.npos && name.ends_with("bias")) return (i % 2 ? 4 : -4) + 0.3 * unit;
  return p.mean + 0.3 * unit;
}

/// The names of the parameters that are not tied to another one, in the model's order.
template <class Trainer> std::vector<std::string> spread_parameters(Trainer& trainer) {
  std::vector<std::string> names;
  trainer.each_parameter([&](std::string const& name, auto const& p) {
    if (!p.info->tied_to.empty()) return;
    for (std::size_t i = 0; i < p.info->count; ++i)
      p.master[i] = static_cast<typename Trainer::accumulate>(spread_value(name, *p.info, i));
    names.push_back(name);
  });
  trainer.devices().copy_tied_values();
  return names;
}

/// The largest disagreement between gradient and difference.
struct gradient_check {
  double error = 0;   ///< |gradient - difference| / (|difference| + 1e-3), both over the elements looked at
  std::string where;  ///< the parameter
  std::size_t elements = 0;
};

/// Looks at 12 elements of each parameter.
template <class Model, class Placement = mpx::place_all<>, std::size_t Microbatches = 1>
gradient_check compare_gradients(mpx::batch const& batch, conditions const& under = {}) {
  using trainer_type = mpx::trainer<Model, still_recipe<f64_only, Placement, Microbatches>>;
  constexpr std::size_t samples = 12;
  constexpr double h = 1e-5;

  typename trainer_type::settings const settings{
      .lr = {.peak = 0}, .dropout = under.dropout, .label_smoothing = under.label_smoothing};
  trainer_type trainer(settings);
  auto const names = spread_parameters(trainer);
  double const first = trainer.step(batch).loss;
  if (under.dropout == 0 && under.label_smoothing == 0) CHECK(trainer.evaluate(batch) == first);
  std::map<std::string, std::vector<double>> gradients;
  for (auto const& name : names) {
    auto const g = trainer.gradient(name);
    gradients[name].assign(g.begin(), g.end());
  }

  auto const loss = [&](std::string const& name, std::vector<double> const& values) {
    if (under.dropout > 0) {  // the masks of step 1 are only drawn in a first step
      trainer_type again(settings);
      spread_parameters(again);
      again.set_parameter(name, values);
      return again.step(batch).loss;
    }
    trainer.set_parameter(name, values);
    return under.label_smoothing > 0 ? trainer.step(batch).loss : trainer.evaluate(batch);
  };

  gradient_check worst;
  for (auto const& name : names) {
    auto const kept = trainer.parameter(name);
    std::vector<double> const before(kept.begin(), kept.end());
    std::size_t const count = std::min(samples, before.size());
    double off = 0, size = 0;
    for (std::size_t k = 0; k < count; ++k) {
      std::size_t const i = (k * before.size() + before.size() / 2) / count;
      auto moved = before;
      moved[i] = before[i] + h;
      double const above = loss(name, moved);
      moved[i] = before[i] - h;
      double const below = loss(name, moved);
      double const difference = (above - below) / (2 * h);
      off += std::pow(gradients[name][i] - difference, 2);
      size += difference * difference;
      ++worst.elements;
    }
    trainer.set_parameter(name, before);
    double const error = std::sqrt(off) / (std::sqrt(size) + 1e-3);
    if (!(error <= worst.error)) {
      worst.error = error;
      worst.where = name;
    }
  }
  return worst;
}

template <class Model, class Placement = mpx::place_all<>, std::size_t Microbatches = 1>
void gradients_match(mpx::batch const& batch, conditions const& under = {}, double tolerance = 1e-6) {
  auto const worst = compare_gradients<Model, Placement, Microbatches>(batch, under);
  INFO("furthest off: " << worst.where);
  CHECK(worst.error <= tolerance);
  CHECK(worst.elements > 0);
}

/// Loss and every gradient in f32 agree with those in f64 to `bound`, gradients relative to the norm of all of them:
/// where the terms of a gradient cancel, as those of a query's do, its own norm says nothing of what was rounded.
template <class Model> void f32_follows_f64(mpx::batch const& batch, double bound = 1e-6) {
  mpx::trainer<Model, still_recipe<f64_only>> exact{{.lr = {.peak = 0}, .dropout = 0}};
  mpx::trainer<Model, still_recipe<mpx::f32_only>> rounded{{.lr = {.peak = 0}, .dropout = 0}};
  auto const names = spread_parameters(exact);
  spread_parameters(rounded);
  auto const report = exact.step(batch);
  CHECK(rounded.step(batch).loss == Approx(report.loss).epsilon(bound));
  for (auto const& name : names) {
    auto const should = exact.gradient(name);
    auto const is = rounded.gradient(name);
    double off = 0;
    for (std::size_t i = 0; i < should.size(); ++i) off += std::pow(is[i] - should[i], 2);
    INFO(name);
    CHECK(std::sqrt(off) <= bound * static_cast<double>(report.gradient_norm));
  }
}

}  // namespace test
