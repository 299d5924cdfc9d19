// Dividing a run's state among the data ranks changes no bit of it.
#pragma once

#include <numeric>
#include <span>

#include "mesh.hpp"

namespace test {

/// Parameters, gradients of the last step and reports of 6 steps of an optimizer with dropout, clipping and ragged batches.
template <class Model, class Mesh, class Precision, class Schedule, class... More>
std::vector<float> sharded_run() {
  mpx::trainer<Model, mesh_recipe<Mesh, Precision, Schedule, More...>> trainer{{.lr = {.peak = 1e-2f}, .seed = 3, .dropout = 0.2f}};
  std::vector<float> all;
  for (int step = 0; step < 6; ++step) {
    auto const report = trainer.step(mesh_batch(step));
    all.push_back(static_cast<float>(report.loss));
    all.push_back(report.gradient_norm);
  }
  trainer.each_parameter([&](std::string const& name, auto const&) {
    for (auto const& values : {trainer.parameter(name), trainer.gradient(name)}) all.insert(all.end(), values.begin(), values.end());
  });
  all.push_back(static_cast<float>(trainer.evaluate(mesh_batch(7))));
  return all;
}

/// Every data and tensor rank reads the same weights, and together they hold each master and each state once.
template <class Model, class Recipe>
void slices_are_all_there() {
  mpx::trainer<Model, Recipe> trainer{{.lr = {.peak = 1e-2f}, .dropout = 0.2f}};
  for (int step = 0; step < 3; ++step) trainer.step(mesh_batch(step));
  constexpr auto& plan = trainer.plan;
  auto& devices = trainer.devices();
  for (std::size_t t = 0; t < plan.mesh.tensor; ++t) {
    std::vector<std::size_t> updated(plan.mesh.data);  // elements
    std::size_t all = 0, wrong = 0;
    for (std::size_t d = 0; d < plan.mesh.data; ++d) {
      devices.at(d, t).each_stage([&](auto& stage) {
        std::size_t of_stage = 0;
        stage.each_updated([&](auto const& run) {
          updated[d] += run.count;
          of_stage += run.count;
          CHECK(run.first % mpx::portion_elements == 0);
          for (std::size_t i = 0; i < run.count; ++i)
            if (run.weights)  // what layers read is the master, rounded
              wrong += static_cast<float>(run.weights[i]) != static_cast<float>(typename Recipe::precision::compute(run.master[i]));
        });
        CHECK(of_stage <= stage.info().slice_elements);
      });
      std::vector<std::span<std::byte const>> read[2];  // by the layers of rank 0, and of rank d
      for (std::size_t const of : {0u, 1u})
        devices.at(of * d, t).each_stage([&](auto& stage) {
          stage.each_parameter([&](auto const& p) {
            if (p.weights) read[of].push_back(std::as_bytes(std::span(p.weights, p.count)));
            else read[of].push_back(std::as_bytes(std::span(p.master, p.count)));
            if (of == 0 && d == 0) all += p.count;
          });
        });
      for (std::size_t k = 0; k < read[0].size(); ++k)
        wrong += std::memcmp(read[0][k].data(), read[1][k].data(), read[0][k].size()) != 0;
    }
    CHECK(wrong == 0);
    CHECK(std::accumulate(updated.begin(), updated.end(), std::size_t{0}) == all);
  }
}

/// Painted before a step, what data ranks divide is written over to the last cache line that the plan gives it on the
/// rank that has most, and on no rank beyond its own slices. The groups count the bytes that the plan says.
template <class Model, class Recipe>
void divides_what_is_planned() {
  mpx::trainer<Model, Recipe> trainer{{.lr = {.peak = 1e-2f}}};
  constexpr auto& plan = trainer.plan;
  constexpr auto paint = std::byte{0xa5};  // as a number, next to nothing
  auto& devices = trainer.devices();
  auto const each_region = [&](mpx::stage_info const& s, auto f) {
    f(s.states);
    if (s.weights.size > 0) f(s.master);  // where layers read it, it is whole
    if (s.gradients_divided) f(s.gradients);
  };
  auto const written_until = [](auto arena, std::size_t begin, std::size_t size) {
    while (size > 0 && arena[begin + size - 1] == paint) --size;
    return mpx::aligned(size);
  };
  for (std::size_t n = 0; n < plan.mesh.devices(); ++n)
    for (auto const& s : plan.stages)
      if (s.device_index == plan.mesh.coordinate(n).stage_device)
        for (auto const& r : {s.states, s.weights.size > 0 ? s.master : mpx::region{}, s.bucket_buffers,
                              s.gradients_divided ? s.gradients : mpx::region{}})
          std::fill_n(devices.arena(n).begin() + static_cast<long>(r.offset), r.size, paint);
  int const sequences = plan.capacity.sequences * static_cast<int>(plan.microbatches * plan.mesh.data);
  CHECK_FALSE(trainer.step(make_batch(sequences, 6, 6, 12, 16, 1)).skipped);

  for (std::size_t t = 0; t < plan.mesh.tensor; ++t)
    for (std::size_t number = 0; number < plan.stage_count; ++number) {
      mpx::stage_info const& s = plan.stages[number];
      CAPTURE(t, number);
      std::vector<std::size_t> most;
      std::size_t brought = 0;
      for (std::size_t d = 0; d < plan.mesh.data; ++d) {
        mpx::mesh_coordinate const at{d, s.device_index, t};
        auto const arena = devices.arena(plan.mesh.number(at));
        CHECK(arena.size() == plan.arena_bytes[s.device_index]);
        std::size_t own = 0, shared = 0;  // elements that this rank updates, gaps included; of those, with another's master
        devices.at(d, t).each_stage([&](auto& stage) {
          if (stage.info().first == s.first)
            stage.each_updated([&](auto const& run) {
              std::size_t const n = run.first + run.count == run.info->count ? mpx::padded_elements(run.info->count) - run.first : run.count;
              own += n;
              shared += run.shared ? n : 0;
            });
        });
        std::size_t k = 0;
        each_region(s, [&](mpx::region const& r) {
          std::size_t const high = written_until(arena, r.offset, r.size);
          std::size_t const arrays = r.offset == s.states.offset ? std::size_t{Recipe::optimizer::states} : 1;
          std::size_t const written = r.offset == s.gradients.offset ? own : own - shared;
          CHECK(high == (written == 0 ? 0 : (arrays - 1) * s.weight_slice_elements + written) * sizeof(float));
          most.resize(std::max(most.size(), k + 1));
          most[k] = std::max(most[k], high);
          ++k;
        });
        // The largest bucket fills its buffer, whichever that is.
        std::size_t filled = 0;
        for (std::size_t b = 0; b < s.buckets_at_once; ++b) {
          std::size_t const bytes = s.bucket_elements * sizeof(float);
          filled = std::max(filled, written_until(arena, s.bucket_buffers.offset + b * bytes, bytes));
        }
        CHECK(filled * s.buckets_at_once == s.bucket_buffers.size);
        brought += devices.data_group(at).bytes_brought(static_cast<int>(d));
      }
      std::size_t k = 0;
      each_region(s, [&](mpx::region const& r) { CHECK(most[k++] == r.size); });
      std::size_t planned = 0;
      for (std::size_t other = 0; other < plan.stage_count; ++other)
        if (plan.stages[other].device_index == s.device_index)
          planned += plan.mesh.data * plan.data_sum_bytes(other).count + plan.data_gather_bytes(other).count;
      CHECK(brought == planned);
      CHECK(plan.data_gather_bytes(number).count > 0);
    }
}

}  // namespace test
