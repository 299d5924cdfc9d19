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
  std::string model;
  mpx::mesh_shape mesh;
  std::size_t parameters = 0;
  mpx::bytes fullest;  // what the device with the most bytes holds
  double idle_share = 0;
  std::vector<std::string> device_names;  // of one data and tensor rank; all of them do the same at the same time
  std::vector<mpx::timed_work> timeline;  // equal stages: a forward takes 1, a backward 2
  void (*print)(std::ostream&) = nullptr;
};

template <std::size_t Data, std::size_t Pipeline, std::size_t Tensor>
using mesh_of = mpx::mesh<mpx::data<Data>, mpx::pipeline<Pipeline>, mpx::tensor<Tensor>>;

// bf16 arithmetic with f32 master weights, AdamW, 1F1B.
template <class Capacity, class Mesh, std::size_t Stages = Mesh::mesh_pipeline>
using plan_recipe =
    mpx::recipe<Mesh, mpx::place_evenly<Stages>, mpx::one_f_one_b<mpx::microbatches<(Stages > 4 ? 2 * Stages : 8)>>,
                mpx::bf16_mixed, mpx::adamw, Capacity>;

// One sequence of the model's whole context in a microbatch.
template <class Model>
using whole_context = mpx::microbatch_capacity<mpx::sequences<1>, mpx::tokens<Model::context>>;

template <class Model, class Capacity, class Mesh> planned plan_of(std::string const& model) {
  constexpr auto& plan = mpx::plan_v<Model, plan_recipe<Capacity, Mesh>>;
  auto const times = mpx::make_timeline(plan.actions, mpx::channel_depth);
  planned out;
  out.model = model;
  out.mesh = plan.mesh;
  out.parameters = plan.parameters();
  out.idle_share = times.idle_share();
  out.timeline.assign(times.work.begin(), times.work.end());
  out.print = [](std::ostream& to) { to << plan; };
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
void add_gpt3(std::vector<planned>& to);
void add_gpt3_large(std::vector<planned>& to);
void add_llama(std::vector<planned>& to);
void add_t5(std::vector<planned>& to);
