/// @file
/// A timed program: alone it prints a table of its own; under bench/peers/compare.py it takes turns with other systems.
///   --list          the configurations it has, one a line
///   --profile NAME  where the time of a step goes, and what its products would take by themselves
///   --limit NAME    seconds that the products of a step would take by themselves
///   --serve NAME    reads lines "N" from stdin; takes N steps for each and prints their seconds, one line
#pragma once

#include <CLI/CLI.hpp>

#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "jobs.hpp"
#include "measure.hpp"
#include "observed.hpp"

namespace bench {

/// Units  MiB
inline double peak_memory() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  return static_cast<double>(used.ru_maxrss) / 1024;
}

/// One job on one mesh in one precision. `start` makes the trainer and gives what takes a step, in seconds.
struct configuration {
  std::string name;  ///< job/precision/threads
  int threads = 1;
  double tokens = 0;  ///< of a step
  std::function<std::function<double()>()> start;
};

template <class Job, class Mesh, class Precision, int Microbatches>
configuration timed(char const* precision, int threads) {
  using recipe = typename Job::template recipe<Mesh, Precision, Microbatches>;
  using trainer = mpx::trainer<typename Job::model, recipe, observed_backend>;
  return {std::string(Job::name) + "/" + precision + "/" + std::to_string(threads), threads,
          static_cast<double>(Job::sequences * Job::tokens), [] {
            auto made = std::make_shared<trainer>(typename recipe::settings{.seed = 1, .dropout = Job::dropout});
            auto batch = std::make_shared<mpx::batch>(Job::batch());
            return [made, batch] { return made->step(*batch).seconds; };
          }};
}

/// A job in f32 and bf16, on one thread and on two data ranks.
template <class Job>
std::vector<configuration> on_one_and_two_threads() {
  return {timed<Job, mpx::mesh<>, mpx::f32_only, 1>("f32", 1), timed<Job, mpx::mesh<>, mpx::bf16_mixed, 1>("bf16", 1),
          timed<Job, mpx::mesh<mpx::data<2>>, mpx::f32_only, 1>("f32", 2),
          timed<Job, mpx::mesh<mpx::data<2>>, mpx::bf16_mixed, 1>("bf16", 2)};
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
inline double look_at_step(configuration const& one, observation& seen) {
  auto const step = one.start();
  step();
  looking = &seen;
  double const seconds = step();
  looking = nullptr;
  return seconds;
}

inline int profile(configuration const& one) {
  observation seen;
  double const seconds = look_at_step(one, seen);
  double products = 0;
  std::sort(seen.products.begin(), seen.products.end(), [](auto const& a, auto const& b) { return a.seconds > b.seconds; });
  std::printf("%8s %8s %8s %6s %8s %10s %10s\n", "m", "n", "k", "calls", "ms", "GFLOP/s", "alone");
  for (auto const& p : seen.products) {
    products += p.seconds;
    std::printf("%8zu %8zu %8zu %6ld %8.3f %10.1f %10.1f\n", p.shape.m, p.shape.n, p.shape.k, p.calls, 1e3 * p.seconds,
                1e-9 * p.flops() * static_cast<double>(p.calls) / p.seconds, 1e-9 * p.flops() / p.alone(p.shape, p.bias));
  }
  double const all = seconds * one.threads;
  auto const share = [&](char const* what, double part) { std::printf("%-22s %6.1f %%\n", what, 100 * part / all); };
  std::printf("%s: %.2f ms a step on %d thread(s)\n", one.name.c_str(), 1e3 * seconds, one.threads);
  share("products", products);
  share("attention, forward", seen.attention_forward);
  share("attention, backward", seen.attention_backward);
  share("all else", all - products - seen.attention_forward - seen.attention_backward);
  share("limit: products alone", limit_of(seen, 1));
  return 0;
}

/// In a process of its own: operands of large products would count as the job's memory.
inline int limit(configuration const& one) {
  observation seen;
  look_at_step(one, seen);
  std::printf("%.6f\n", limit_of(seen, one.threads));
  return 0;
}

inline int serve(configuration const& one) {
  auto const step = one.start();
  step();
  std::printf("ready %.0f\n", one.tokens);
  std::fflush(stdout);
  for (int count; std::cin >> count;) {
    for (int i = 0; i < count; ++i) std::printf("%.6f ", step());
    std::printf("%.1f\n", peak_memory());
    std::fflush(stdout);
  }
  return 0;
}

inline int run(int argc, char** argv, char const* about, std::vector<configuration> const& all) {
  CLI::App app{about};
  std::string served, limited, profiled;
  bool list = false;
  int steps = 9;
  app.add_option("--serve", served, "take turns with other programs");
  app.add_option("--limit", limited, "what the products of a step take");
  app.add_option("--profile", profiled, "where the time goes");
  app.add_flag("--list", list, "names of the configurations");
  app.add_option("--steps", steps, "of each configuration")->check(CLI::Range(1, 100000))->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (list) {
    for (auto const& one : all) std::printf("%s\n", one.name.c_str());
    return 0;
  }
  for (auto const& one : all) {
    if (one.name == served) return serve(one);
    if (one.name == limited) return limit(one);
    if (one.name == profiled) return profile(one);
  }
  if (!served.empty() || !limited.empty() || !profiled.empty()) {
    std::fprintf(stderr, "no configuration %s%s%s: see --list\n", served.c_str(), limited.c_str(), profiled.c_str());
    return 1;
  }
  std::printf("%-28s %12s %12s\n", "job/precision/threads", "ms a step", "tokens/s");
  for (auto const& one : all) {
    auto const step = one.start();
    step();
    std::vector<double> seconds;
    for (int i = 0; i < steps; ++i) seconds.push_back(step());
    std::printf("%-28s %12.2f %12.0f\n", one.name.c_str(), 1e3 * median(seconds), one.tokens / median(seconds));
  }
  return 0;
}

}  // namespace bench
