/// @file
/// In which order a stage works on its microbatches.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>

#include <mpx/core/diagnostic.hpp>

namespace mpx {

enum class work : unsigned char { forward, backward };

/// One piece of a stage's work. Sends and receives follow from it.
struct task {
  work kind = work::forward;
  int microbatch = 0;

  friend constexpr bool operator==(task const&, task const&) = default;
};

/// The number of microbatches, M, that a batch is split into.
template <std::size_t M>
struct microbatches {
  static_assert(M > 0, "mpx::microbatches requires its user to ask for at least one microbatch");
  static constexpr std::size_t value = M;
};

/// A pipeline schedule is a constexpr list of tasks for each stage: every forward and every backward once.
template <class T>
concept pipeline_schedule =
    requires(int stage, int stages) {
      { T::microbatches } -> std::convertible_to<std::size_t>;
      { T::fewest_microbatches(stages) } -> std::convertible_to<std::size_t>;
      { T::tasks(stage, stages) } -> std::same_as<std::array<task, 2 * T::microbatches>>;
    } ||
    unsatisfied<"a pipeline schedule offers `static constexpr std::size_t microbatches`, `static constexpr std::size_t fewest_microbatches(int stages)` and `static constexpr std::array<task, 2 * microbatches> tasks(int stage, int stages)`", T>();

/// All forwards, then all backwards. Keeps the activations of every microbatch.
/// Source  Huang et al. 2018, arXiv:1811.06965
template <class Microbatches>
struct gpipe {
  static constexpr std::size_t microbatches = Microbatches::value;
  static constexpr std::size_t fewest_microbatches(int) { return 1; }
  static constexpr std::array<task, 2 * microbatches> tasks(int, int) {
    std::array<task, 2 * microbatches> list{};
    for (std::size_t m = 0; m < microbatches; ++m) {
      list[m] = {work::forward, static_cast<int>(m)};
      list[microbatches + m] = {work::backward, static_cast<int>(m)};
    }
    return list;
  }
};

/// Forwards until the pipeline is full, then one forward, one backward. Keeps at most min(M, stages - stage)
/// microbatches' activations; its idle share is (stages - 1) / (M + stages - 1) when stages are equal.
/// Source  Narayanan et al. 2021, arXiv:2104.04473, figure 4
template <class Microbatches>
struct one_f_one_b {
  static constexpr std::size_t microbatches = Microbatches::value;
  static constexpr std::size_t fewest_microbatches(int stages) { return static_cast<std::size_t>(stages); }
  static constexpr std::array<task, 2 * microbatches> tasks(int stage, int stages) {
    int const all = static_cast<int>(microbatches);
    int const ahead = stages - stage < all ? stages - stage : all;  // forwards before the first backward
    std::array<task, 2 * microbatches> list{};
    std::size_t n = 0;
    int forward = 0;
    for (; forward < ahead; ++forward) list[n++] = {work::forward, forward};
    for (int backward = 0; backward < all; ++backward) {
      list[n++] = {work::backward, backward};
      if (forward < all) list[n++] = {work::forward, forward++};
    }
    return list;
  }
};

}  // namespace mpx
