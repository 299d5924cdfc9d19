// What two host devices gain over one, for each way to share the work; and what the executor itself costs.
//
//   build/bench/mesh        medians of interleaved runs: the same global batch, model and recipe on every mesh
//
// Each device is one thread, so this says something on two free cores at least.
#include <mpx/mpx.hpp>

#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "jobs.hpp"
#include "measure.hpp"

namespace {

double seconds_of(std::function<void()> const& work) {
  auto const begin = std::chrono::steady_clock::now();
  work();
  return bench::seconds_since(begin);
}

constexpr int sequences = 16, tokens = 128;
using model = mpx::gpt2<mpx::vocabulary<256>, mpx::width<384>, mpx::heads<6>, mpx::layers<6>, mpx::context<tokens>>;

/// 16 sequences in 8 microbatches of all data ranks together.
template <class Mesh, class Schedule>
using recipe = mpx::recipe<Mesh, Schedule, mpx::f32_only, mpx::adamw, mpx::clip_by_global_norm, mpx::constant_rate,
                           mpx::microbatch_capacity<mpx::sequences<2>, mpx::tokens<tokens>>>;
template <class Mesh>
using eager = mpx::one_f_one_b<mpx::microbatches<8 / Mesh::mesh_data>>;
using eight = mpx::microbatches<8>;
using two_stages = mpx::mesh<mpx::pipeline<2>>;

/// Nothing but what passes through: what remains is the executor's own.
struct nothing : mpx::layer_defaults {
  using row_label = mpx::name<"nothing">;
  using takes = mpx::message<mpx::stream<"x", 1>>;
  using gives = takes;
  static constexpr bool in_place = true;
  template <class C, class T>
  static void forward(C const&, T const*, T const*, T const*, T*, std::byte*) {}
  template <class C, class T, class A>
  static void backward(C const& c, T const*, A*, T const*, T const* dy, T* dx, std::byte*) {
    c.machine.copy(dx, dy, static_cast<std::size_t>(c.rows(mpx::axis::target)) * sizeof(T));
  }
};
using empty_model = mpx::sequential<mpx::token_embedding<8, 1, "inputs">, mpx::repeat<6, nothing>,
                                    mpx::language_head<1, 8>, mpx::cross_entropy<8>>;
template <class Placement>
using empty_recipe = mpx::recipe<Placement, mpx::one_f_one_b<mpx::microbatches<64>>, mpx::sgd, mpx::constant_rate,
                                 mpx::microbatch_capacity<mpx::sequences<1>, mpx::tokens<1>>>;

template <class Placement>
double microseconds_per_action() {
  mpx::trainer<empty_model, empty_recipe<Placement>> trainer;
  auto const batch = bench::random_batch(64, 0, 1, 8, 1);
  trainer.step(batch);
  std::vector<double> runs;
  for (int i = 0; i < 31; ++i) runs.push_back(seconds_of([&] { trainer.step(batch); }));
  return 1e6 * bench::median(runs) / static_cast<double>(trainer.plan.actions.actions.size());
}

struct contender {
  std::string label;
  double idle_share;  ///< by the plan
  std::function<void()> step;
  std::vector<double> seconds{};
};

template <class Mesh, class Schedule = eager<Mesh>>
contender on(std::string label, mpx::batch const& batch) {
  auto trainer = std::make_shared<mpx::trainer<model, recipe<Mesh, Schedule>>>();
  trainer->step(batch);
  return {std::move(label), trainer->plan.idle_share(), [trainer, &batch] { trainer->step(batch); }};
}

}  // namespace

int main() {
  auto const batch = bench::random_batch(sequences, 0, tokens, 256, 1);
  std::vector<contender> all{on<mpx::mesh<>>("one device", batch),
                             on<two_stages>("pipeline<2>, 1F1B", batch),
                             on<two_stages, mpx::interleaved<eight, mpx::chunks<2>>>("pipeline<2>, interleaved", batch),
                             on<two_stages, mpx::zb_h1<eight>>("pipeline<2>, zb_h1", batch),
                             on<two_stages, mpx::zb_v<eight>>("pipeline<2>, zb_v", batch),
                             on<mpx::mesh<mpx::data<2>>>("data<2>", batch),
                             on<mpx::mesh<mpx::tensor<2>>>("tensor<2>", batch)};
  for (int round = 0; round < 9; ++round)
    for (auto& one : all) one.seconds.push_back(seconds_of(one.step));

  std::printf("gpt2, 6 layers, width 384, %d x %d tokens in 8 microbatches, f32\n", sequences, tokens);
  std::printf("  %-24s %12s %14s %10s %14s\n", "mesh", "ms a step", "tokens/s", "speed-up", "planned idle");
  for (auto const& one : all)
    std::printf("  %-24s %12.1f %14.0f %10.2f %12.1f %%\n", one.label.c_str(), 1e3 * bench::median(one.seconds),
                sequences * tokens / bench::median(one.seconds),
                bench::median(all[0].seconds) / bench::median(one.seconds), 100 * one.idle_share);
  std::printf("the executor's own cost, empty layers: %.2f us an action on one device, %.2f on two\n",
              microseconds_per_action<mpx::place_all<>>(), microseconds_per_action<mpx::place_evenly<2>>());
}
