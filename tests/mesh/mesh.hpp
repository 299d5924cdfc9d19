// What a mesh computes is what one device computes.
//
// Tensor and data ranks add the same numbers in another order, so their results differ by rounding. The bound on the error
// of a layer's gradient, relative to its Frobenius norm, is set before it is measured:
//   error <= k C^(L + 1 - l) eps    for layer l of L, k = 4, C = 1.03, eps the distance from 1 to the next number
// Source  arXiv:2506.09280 (the form of the bound)
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <map>
#include <string>
#include <type_traits>
#include <vector>

#include <mpx/mpx.hpp>

#include <mpx_test.hpp>

#include "support/f64.hpp"
#include "support/models.hpp"
#include "support/schedules.hpp"

namespace test {

using mesh_seq2seq = mpx::seq2seq<mpx::source_vocabulary<12>, mpx::target_vocabulary<16>, mpx::width<32>, mpx::heads<4>,
                                  mpx::feed_forward<64>, mpx::encoder_layers<2>, mpx::decoder_layers<2>, mpx::context<16>>;
using mesh_gpt2 = mpx::gpt2<mpx::vocabulary<64>, mpx::width<32>, mpx::heads<4>, mpx::layers<2>, mpx::context<16>>;
using mesh_llama = mpx::llama<mpx::vocabulary<64>, mpx::width<32>, mpx::heads<4>, mpx::feed_forward<64>, mpx::layers<2>,
                              mpx::context<16>>;
using mesh_t5 = mpx::t5<mpx::vocabulary<16>, mpx::width<32>, mpx::heads<4>, mpx::head_width<16>, mpx::feed_forward<64>,
                        mpx::encoder_layers<2>, mpx::decoder_layers<2>>;
using mesh_gpt2_untied =
    mpx::gpt2<mpx::vocabulary<64>, mpx::width<32>, mpx::heads<4>, mpx::layers<2>, mpx::context<16>, mpx::untied>;

inline constexpr std::size_t all_microbatches = 8;  ///< of all data ranks together

template <class Mesh>
using share_of_microbatches = mpx::microbatches<all_microbatches / Mesh::mesh_data>;

/// Plain gradient descent with a recipe's mesh; dropout, ragged batches and padding are on.
template <class Mesh, class Precision, class Schedule = mpx::one_f_one_b<share_of_microbatches<Mesh>>, class... More>
using mesh_recipe =
    mpx::recipe<Mesh, Schedule, Precision, mpx::clip_by_global_norm, mpx::constant_rate, More...,
                mpx::microbatch_capacity<mpx::sequences<2>, mpx::source_tokens<6>, mpx::target_tokens<6>>>;

inline mpx::batch mesh_batch(int step) { return make_batch(13 + step % 4, 6, 5 + step % 2, 12, 16, static_cast<std::uint32_t>(step)); }

/// Gradients of one step, layer by layer in the model's order, with its loss and norm.
struct step_outcome {
  std::vector<std::vector<double>> layers;
  double loss = 0, norm = 0;
};

template <class Trainer>
step_outcome first_step(Trainer& trainer) {
  step_outcome out;
  auto const report = trainer.step(mesh_batch(1));
  out.loss = report.loss;
  out.norm = static_cast<double>(report.gradient_norm);
  std::map<std::size_t, std::vector<std::string>> names;
  trainer.each_parameter([&](std::string const& name, auto const& p) {
    if (p.info->tied_to.empty()) names[p.layer].push_back(name);
  });
  for (auto const& [layer, of_layer] : names) {
    auto& all = out.layers.emplace_back();
    for (auto const& name : of_layer) {
      auto const g = trainer.gradient(name);
      all.insert(all.end(), g.begin(), g.end());
    }
  }
  return out;
}

/// Biases before a relu stand 4 above or below zero: a unit near the kink may be on in one order of sums and off in the
/// other, which is no rounding of a gradient but another gradient. (gelu has no kink: nothing changes for gpt2.)
template <class Trainer>
void keep_away_from_the_kink(Trainer& trainer) {
  std::vector<std::string> biases;
  trainer.each_parameter([&](std::string const& name, auto const&) {
    if (name.ends_with("mlp.up.bias")) biases.push_back(name);
  });
  for (auto const& name : biases) {
    auto values = trainer.parameter(name);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = i % 2 ? 4.0f : -4.0f;
    trainer.set_parameter(name, values);
  }
}

template <class Model, class Mesh, class Precision, class Backend = mpx::on_host::backend, class... More>
step_outcome step_on() {
  using recipe = mesh_recipe<Mesh, Precision, mpx::one_f_one_b<share_of_microbatches<Mesh>>, mpx::sgd, More...>;
  mpx::trainer<Model, recipe, Backend> trainer{
      {.lr = {.peak = 0}, .seed = 5, .dropout = 0.1f}};
  keep_away_from_the_kink(trainer);
  return first_step(trainer);
}

/// What a mesh is held against. One device makes errors of f32 as a mesh does, so for f32 it is one device in f64, from the
/// same values; for bf16 it is one device.
template <class Model, class Precision>
step_outcome reference() {
  if constexpr (!std::is_same_v<typename Precision::compute, float>) {
    return step_on<Model, mpx::mesh<>, Precision>();
  } else {
    auto const made = []<class P>(P) {
      using recipe = mesh_recipe<mpx::mesh<>, P, mpx::one_f_one_b<share_of_microbatches<mpx::mesh<>>>, mpx::sgd>;
      return mpx::trainer<Model, recipe>{{.lr = {.peak = 0}, .seed = 5, .dropout = 0.1f}};
    };
    auto rounded = made(Precision{});
    auto exact = made(f64_only{});
    keep_away_from_the_kink(rounded);
    std::vector<std::string> names;
    rounded.each_parameter([&](std::string const& name, auto const& p) {
      if (p.info->tied_to.empty()) names.push_back(name);
    });
    for (auto const& name : names) {
      auto const values = rounded.parameter(name);
      exact.set_parameter(name, std::vector<double>(values.begin(), values.end()));
    }
    return first_step(exact);
  }
}

/// The largest of error / bound over all layers, and of the loss and the norm: at most 1 where the bound holds.
inline double excess(step_outcome const& one, step_outcome const& mesh, double eps) {
  REQUIRE(one.layers.size() == mesh.layers.size());
  double worst = 0;
  auto const count = [&](double error, double layers_behind) {
    double const ratio = error / (4 * std::pow(1.03, layers_behind) * eps);
    worst = std::isnan(ratio) ? std::numeric_limits<double>::infinity() : std::max(worst, ratio);
  };
  auto const L = static_cast<double>(one.layers.size());
  for (std::size_t l = 0; l < one.layers.size(); ++l) {
    double off = 0, size = 0;
    for (std::size_t i = 0; i < one.layers[l].size(); ++i) {
      off += std::pow(mesh.layers[l][i] - one.layers[l][i], 2);
      size += std::pow(one.layers[l][i], 2);
    }
    count(std::sqrt(off / size), L - static_cast<double>(l));  // layers count from 1 in the bound
  }
  count(std::abs(mesh.loss - one.loss) / one.loss, 1);
  count(std::abs(mesh.norm - one.norm) / one.norm, L);
  return worst;
}

template <class Precision>
inline constexpr double rounding = std::is_same_v<typename Precision::compute, float> ? 0x1p-23 : 0x1p-7;

/// All parameters in the model's order, each put together from its slices.
template <class Trainer>
std::vector<float> all_parameters(Trainer& trainer) {
  std::vector<float> all;
  std::vector<std::string> names;
  trainer.each_parameter([&](std::string const& name, auto const&) { names.push_back(name); });
  for (auto const& name : names) {
    auto const values = trainer.parameter(name);
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

inline bool same_bytes(std::vector<float> const& a, std::vector<float> const& b) {
  return a.size() == b.size() && !a.empty() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

using one_device = mpx::mesh<>;
template <std::size_t D, std::size_t P, std::size_t T>
using mesh_of = mpx::mesh<mpx::data<D>, mpx::pipeline<P>, mpx::tensor<T>>;

/// All parameters after so many steps of Adam with dropout, clipping and ragged batches, in the model's order.
template <class Model, class Mesh, class Precision, class Schedule, class... More>
std::vector<float> trained(int steps) {
  mpx::trainer<Model, mesh_recipe<Mesh, Precision, Schedule, mpx::adam, More...>> trainer{
      {.lr = {.peak = 1e-2f}, .seed = 3, .dropout = 0.2f}};
  for (int step = 0; step < steps; ++step) trainer.step(mesh_batch(step));
  return all_parameters(trainer);
}

/// What a model answers: its loss, and the logits of the next token, for fewer sequences than there are microbatches.
template <class Model, class Mesh, class Precision = mpx::f32_only, class... More>
std::vector<double> answers_on() {
  using recipe = mesh_recipe<Mesh, Precision, mpx::one_f_one_b<share_of_microbatches<Mesh>>, More...>;
  mpx::trainer<Model, recipe> trainer{{.seed = 5}};
  std::vector<double> out{trainer.evaluate(mesh_batch(1))};
  for (float const logit : trainer.next_token_logits(make_batch(3, 6, 5, 12, 16, 2))) out.push_back(static_cast<double>(logit));
  return out;
}

template <class Model>
void answers_as_one_device_does() {
  auto const one = answers_on<Model, mpx::mesh<>>();
  auto const agrees = [&](std::vector<double> const& other) {
    REQUIRE(other.size() == one.size());
    for (std::size_t i = 0; i < one.size(); ++i) CHECK(other[i] == Approx(one[i]).margin(1e-5).epsilon(1e-5));
  };
  agrees(answers_on<Model, mpx::mesh<mpx::tensor<2>>>());
  agrees(answers_on<Model, mpx::mesh<mpx::data<2>, mpx::pipeline<2>, mpx::tensor<2>>>());
}

/// What a mesh computes differs from its reference by no more than the bound. More: policies of the mesh's recipe.
template <class Model, class Precision, std::size_t D, std::size_t P, std::size_t T, class... More>
void is_within_the_bound_of(step_outcome const& one) {
  CAPTURE(D, P, T);
  CHECK(excess(one, step_on<Model, mesh_of<D, P, T>, Precision, mpx::on_host::backend, More...>(), rounding<Precision>) <= 1);
}

/// Bytes that the groups and channels of a mesh count in one step of full microbatches, against the plan.
template <class Model, class Recipe>
void counts_what_is_planned() {
  mpx::trainer<Model, Recipe> trainer;
  constexpr auto& plan = trainer.plan;
  int const sequences = plan.capacity.sequences * static_cast<int>(plan.microbatches * plan.mesh.data);
  trainer.step(make_batch(sequences, 6, 6, 12, 16, 1));
  auto& devices = trainer.devices();
  for (std::size_t n = 0; n < plan.mesh.devices(); ++n) {
    auto const at = plan.mesh.coordinate(n);
    CAPTURE(at.data, at.stage_device, at.tensor);
    CHECK(devices.arena(n).size() == plan.arena_bytes[at.stage_device]);
    std::size_t tensor = 0, data = 0;
    for (std::size_t s = 0; s < plan.stage_count; ++s) {
      if (plan.stages[s].device_index != at.stage_device) continue;
      tensor += plan.tensor_sum_bytes(s).count;
      data += plan.data_sum_bytes(s).count;
    }
    std::size_t const data_found = devices.data_group(at).bytes_brought(static_cast<int>(at.data));
    std::size_t const tensor_found = devices.tensor_group(at).bytes_brought(static_cast<int>(at.tensor));
    if constexpr (Recipe::divides_optimizer) {
      // A plan's sums are those of the data rank with most; weights are gathered besides. tests/mesh/sharded.hpp adds up all.
      CHECK(tensor_found <= tensor);
      CHECK(data_found > data);
    } else {
      CHECK(tensor_found == tensor);
      CHECK(data_found == data);
    }
    CHECK((tensor > 0) == (plan.mesh.tensor > 1));
    CHECK((data > 0) == (plan.mesh.data > 1));
  }
  devices.each_stage([&](auto& stage) { CHECK(stage.scratch().high_water() == stage.info().scratch.size); });
  devices.each_replica([&](auto& replica) {
    for (std::size_t link = 0; link + 1 < plan.stage_count; ++link) {
      std::size_t forward = 0, backward = 0;
      for (std::size_t k = 0; k < plan.links[link].streams; ++k) {
        forward += replica.channels().forward(link, k).bytes_sent();
        backward += replica.channels().backward(link, k).bytes_sent();
      }
      CHECK(forward == plan.link_bytes(link).count);
      CHECK(backward == plan.link_bytes(link).count);
    }
  });
}

template <class Model, class Mesh, class Precision, class... More>
void counts_what_is_planned() {
  counts_what_is_planned<Model, mesh_recipe<Mesh, Precision, mpx::one_f_one_b<share_of_microbatches<Mesh>>, More...>>();
}

/// Every kind of mesh, and all kinds at once.
template <class Model, class Precision>
void computes_what_one_device_computes() {
  auto const one = reference<Model, Precision>();
  is_within_the_bound_of<Model, Precision, 1, 1, 2>(one);
  is_within_the_bound_of<Model, Precision, 1, 1, 4>(one);
  is_within_the_bound_of<Model, Precision, 2, 1, 1>(one);
  is_within_the_bound_of<Model, Precision, 4, 1, 1>(one);
  is_within_the_bound_of<Model, Precision, 2, 2, 1>(one);
  is_within_the_bound_of<Model, Precision, 1, 2, 2>(one);
  is_within_the_bound_of<Model, Precision, 2, 1, 2>(one);
  is_within_the_bound_of<Model, Precision, 2, 2, 2>(one);
}

/// Meshes whose tensor ranks divide rows too. 10 and 12 rows are divided among 4 ranks unevenly.
template <class Model, class Precision>
void divides_rows_and_computes_what_one_device_computes() {
  auto const one = reference<Model, Precision>();
  is_within_the_bound_of<Model, Precision, 1, 1, 2, mpx::sequence_parallel>(one);
  is_within_the_bound_of<Model, Precision, 1, 1, 4, mpx::sequence_parallel>(one);
  is_within_the_bound_of<Model, Precision, 1, 2, 2, mpx::sequence_parallel>(one);
  is_within_the_bound_of<Model, Precision, 2, 2, 2, mpx::sequence_parallel>(one);
}

}  // namespace test
