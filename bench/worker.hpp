/// @file
/// A timed program: alone it prints a table of its own; under bench/peers/compare.py it takes turns with other systems.
///   --list          the configurations it has, one a line
///   --profile NAME  where the time of a step goes, and what its products would take by themselves
///   --limit NAME    seconds that the products of a step would take by themselves
///   --serve NAME    reads lines "N" from stdin; takes N steps for each and prints their seconds and its memory, one line
#pragma once

#include <CLI/CLI.hpp>

#include <cstdio>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include "measure.hpp"

namespace bench {

/// One job on one mesh in one precision. `start` makes the trainer and gives what takes a step, in seconds.
struct configuration {
  std::string name;   ///< job/precision/threads, or job/precision/gpu
  double tokens = 0;  ///< of a step
  std::function<std::function<double()>()> start;
  std::function<double()> memory;           ///< that the job has taken since its start, in MiB
  std::function<int()> profile, limit;      ///< empty where the machine cannot be looked at
};

inline int serve(configuration const& one) {
  auto const step = one.start();
  step();
  std::printf("ready %.0f\n", one.tokens);
  std::fflush(stdout);
  for (int count; std::cin >> count;) {
    for (int i = 0; i < count; ++i) std::printf("%.6f ", step());
    std::printf("%.1f\n", one.memory());
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
    if (one.name == limited && one.limit) return one.limit();
    if (one.name == profiled && one.profile) return one.profile();
  }
  if (!served.empty() || !limited.empty() || !profiled.empty()) {
    std::fprintf(stderr, "no such configuration, or nothing to look at, for %s%s%s: see --list\n", served.c_str(), limited.c_str(), profiled.c_str());
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
