/// @file
/// Jobs on the first GPU.
#pragma once

#include <mpx/cuda.hpp>

#include <memory>
#include <string>

#include "../jobs.hpp"
#include "../worker.hpp"

namespace bench {

/// Of the GPU, by whomever it was taken.
/// Units  MiB
inline double gpu_memory() {
  std::size_t free = 0, all = 0;
  mpx::on_cuda::check(cudaMemGetInfo(&free, &all), "say how much memory is free");
  return static_cast<double>(all - free) / (1 << 20);
}

/// Memory is what the trainer, and what CUDA's libraries took for its steps, have left less of than there was before.
template <class Job, class Precision>
configuration timed_on_gpu(char const* precision) {
  using recipe = typename Job::template recipe<mpx::place_all<mpx::cuda<0>>, Precision, 1>;
  using trainer = mpx::cuda_trainer<typename Job::model, recipe>;
  auto const before = std::make_shared<double>(0);
  return {std::string(Job::name) + "/" + precision + "/gpu",
          Job::sequences * Job::tokens,
          [=] {
            *before = gpu_memory();
            auto made = std::make_shared<trainer>(typename recipe::settings{.seed = 1, .dropout = Job::dropout});
            auto batch = std::make_shared<mpx::batch>(Job::batch());
            return [made, batch] { return made->step(*batch).seconds; };
          },
          [=] { return gpu_memory() - *before; },
          {},
          {}};
}

}  // namespace bench
