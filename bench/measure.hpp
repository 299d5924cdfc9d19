/// @file
/// What every benchmark measures with.
#pragma once

#include <algorithm>
#include <chrono>
#include <vector>

namespace bench {

inline double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// The quickest of several runs: at least three, and as many as a fifth of a second has room for.
/// Units  seconds
template <class Run>
double quickest(Run run) {
  double best = 1e9, all = 0;
  for (int count = 0; count < 3 || all < 0.2; ++count) {
    auto const begin = std::chrono::steady_clock::now();
    run();
    double const seconds = seconds_since(begin);
    all += seconds;
    best = std::min(best, seconds);
  }
  return best;
}

inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace bench
