// A plan of one published model on a mesh, as the program lists it. The types behind it are gone.
#pragma once

#include <mpx/model/published.hpp>
#include <mpx/plan/print.hpp>
#include <mpx/plan/timeline.hpp>

#include <algorithm>
#include <ostream>
#include <string>
#include <vector>

struct planned {
  std::string model, schedule;
  mpx::mesh_shape mesh;
  std::size_t parameters = 0;
  mpx::bytes fullest;  // what the device with the most bytes holds
  double idle_share = 0;
  double in_flight = 0;  // microbatches that the fullest device keeps the activations of, all its stages being one
  std::vector<std::string> device_names;  // of one data and tensor rank; all of them do the same at the same time
  std::vector<mpx::timed_work> timeline;  // equal stages: a forward takes 1, a backward 2
  void (*print)(std::ostream&) = nullptr;
};

template <std::size_t Data, std::size_t Pipeline, std::size_t Tensor>
using mesh_of = mpx::mesh<mpx::data<Data>, mpx::pipeline<Pipeline>, mpx::tensor<Tensor>>;

// bf16 arithmetic with f32 master weights, AdamW.
template <class Capacity, class Mesh, class Schedule>
using plan_recipe =
    mpx::recipe<Mesh, mpx::place_evenly<Mesh::mesh_pipeline>, Schedule, mpx::bf16_mixed, mpx::adamw, Capacity>;

template <class Mesh, std::size_t Stages = Mesh::mesh_pipeline>
using enough_microbatches = mpx::microbatches<(Stages > 4 ? 2 * Stages : 8)>;

// One sequence of the model's whole context in a microbatch.
template <class Model>
using whole_context = mpx::microbatch_capacity<mpx::sequences<1>, mpx::tokens<Model::context>>;

template <class Model, class Capacity, class Mesh, class Schedule = mpx::one_f_one_b<enough_microbatches<Mesh>>>
planned plan_of(std::string const& model, std::string const& schedule = "1F1B") {
  constexpr auto& plan = mpx::plan_v<Model, plan_recipe<Capacity, Mesh, Schedule>>;
  auto const times = mpx::make_timeline(plan.actions, mpx::channel_depth);
  planned out;
  out.model = model;
  out.schedule = schedule;
  out.mesh = plan.mesh;
  out.parameters = plan.parameters();
  out.idle_share = times.idle_share();
  out.timeline.assign(times.work.begin(), times.work.end());
  out.print = [](std::ostream& to) { to << plan; };
  for (std::size_t d = 0; d < plan.device_count; ++d)
    out.in_flight = std::max(out.in_flight, static_cast<double>(plan.actions.in_flight(d)) / mpx::chunks_of<Schedule>);
  for (auto const device : plan.devices) {
    out.fullest = std::max(out.fullest, plan.bytes_on(device));
    out.device_names.push_back(mpx::to_string(device));
  }
  return out;
}

// One model on several numbers of devices, a stage on each.
template <class Model, class Capacity, std::size_t... Devices>
void add_plans(std::vector<planned>& to, std::string const& model) {
  (to.push_back(plan_of<Model, Capacity, mesh_of<1, Devices, 1>>(model)), ...);
}
template <class Model, std::size_t... Devices> void add_plans(std::vector<planned>& to, std::string const& model) {
  add_plans<Model, whole_context<Model>, Devices...>(to, model);
}

// One model on several meshes. The vocabulary must be a multiple of the tensor ranks.
template <class Model, class... Meshes> void add_meshes(std::vector<planned>& to, std::string const& model) {
  (to.push_back(plan_of<Model, whole_context<Model>, Meshes>(model)), ...);
}

// Each in a file of its own: compilers may work on them at the same time.
void add_gpt2(std::vector<planned>& to);
void add_schedules(std::vector<planned>& to);  // GPT-2 on 4 devices under each of them
void add_gpt3(std::vector<planned>& to);
void add_gpt3_large(std::vector<planned>& to);
void add_llama(std::vector<planned>& to);
void add_t5(std::vector<planned>& to);
