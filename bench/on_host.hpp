/// @file
/// Jobs on host devices: timed, and looked at.
#pragma once

#include <mpx/mpx.hpp>

#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "jobs.hpp"
#include "observed.hpp"
#include "worker.hpp"

namespace bench {

using job_start = std::function<std::function<double()>()>;

/// Units  MiB
inline double peak_memory() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  return static_cast<double>(used.ru_maxrss) / 1024;
}

/// What a step's products take by themselves, shared evenly among the threads.
/// Units  seconds
inline double limit_of(observation const& seen, int threads) {
  double sum = 0;
  for (auto const& p : seen.products) sum += static_cast<double>(p.calls) * p.alone(p.shape, p.bias);
  return sum / threads;
}

/// Looks at a job's second step.
/// Units  seconds
inline double look_at_step(job_start const& start, observation& seen) {
  auto const step = start();
  step();
  looking = &seen;
  double const seconds = step();
  looking = nullptr;
  return seconds;
}

inline int profile(std::string const& name, int threads, job_start const& start) {
  observation seen;
  double const seconds = look_at_step(start, seen);
  double products = 0;
  std::sort(seen.products.begin(), seen.products.end(), [](auto const& a, auto const& b) { return a.seconds > b.seconds; });
  std::printf("%8s %8s %8s %6s %8s %10s %10s\n", "m", "n", "k", "calls", "ms", "GFLOP/s", "alone");
  for (auto const& p : seen.products) {
    products += p.seconds;
    std::printf("%8zu %8zu %8zu %6ld %8.3f %10.1f %10.1f\n", p.shape.m, p.shape.n, p.shape.k, p.calls, 1e3 * p.seconds,
                1e-9 * p.flops() * static_cast<double>(p.calls) / p.seconds, 1e-9 * p.flops() / p.alone(p.shape, p.bias));
  }
  double const all = seconds * threads;
  auto const share = [&](char const* what, double part) { std::printf("%-22s %6.1f %%\n", what, 100 * part / all); };
  std::printf("%s: %.2f ms a step on %d thread(s)\n", name.c_str(), 1e3 * seconds, threads);
  share("products", products);
  share("attention, forward", seen.attention_forward);
  share("attention, backward", seen.attention_backward);
  share("all else", all - products - seen.attention_forward - seen.attention_backward);
  share("limit: products alone", limit_of(seen, 1));
  return 0;
}

/// In a process of its own: operands of large products would count as the job's memory.
inline int limit(int threads, job_start const& start) {
  observation seen;
  look_at_step(start, seen);
  std::printf("%.6f\n", limit_of(seen, threads));
  return 0;
}

template <class Job, class Mesh, class Precision, int Microbatches>
configuration timed(char const* precision, int threads) {
  using recipe = typename Job::template recipe<Mesh, Precision, Microbatches>;
  using trainer = mpx::trainer<typename Job::model, recipe, observed_backend>;
  std::string const name = std::string(Job::name) + "/" + precision + "/" + std::to_string(threads);
  job_start const start = [] {
    auto made = std::make_shared<trainer>(typename recipe::settings{.seed = 1, .dropout = Job::dropout});
    auto batch = std::make_shared<mpx::batch>(Job::batch());
    return [made, batch] { return made->step(*batch).seconds; };
  };
  return {name, Job::sequences * Job::tokens, start, peak_memory, [=] { return profile(name, threads, start); },
          [=] { return limit(threads, start); }};
}

/// A job in f32 and bf16, on one thread and on two data ranks.
template <class Job>
std::vector<configuration> on_one_and_two_threads() {
  return {timed<Job, mpx::mesh<>, mpx::f32_only, 1>("f32", 1), timed<Job, mpx::mesh<>, mpx::bf16_mixed, 1>("bf16", 1),
          timed<Job, mpx::mesh<mpx::data<2>>, mpx::f32_only, 1>("f32", 2),
          timed<Job, mpx::mesh<mpx::data<2>>, mpx::bf16_mixed, 1>("bf16", 2)};
}

}  // namespace bench
