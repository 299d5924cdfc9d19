/// @file
/// Verdicts on a recipe's schedule: chunks, microbatches, the order of sums, deadlocks. plan/verify.hpp asks them.
#pragma once

#include <array>
#include <cstddef>

#include <mpx/plan/actions.hpp>
#include <mpx/plan/partition.hpp>
#include <mpx/plan/tensor_ranks.hpp>

namespace mpx {

// Facts that errors print.
template <std::size_t N> struct given_microbatches {};
template <std::size_t N> struct needed_microbatches {};
template <std::size_t N> struct stages_placed {};
template <std::size_t N> struct chunks_dealt {};  ///< to each device
template <int Stage> struct at_stage {};
template <int Microbatch> struct at_microbatch {};
template <schedule_fault Fault> struct fault {};

namespace detail {

template <class Stages, class Devices, class Chunks>
struct stages_are_dealt {
  static_assert(!sizeof(Stages),
                "mpx::recipe requires its placement to lay the stages over the devices as its pipeline schedule deals "
                "its chunks");
};
/// As many stages as chunks, V for each device, and two of them on one device where the schedule wants them on one.
template <class Model, class Recipe>
struct chunks_fit {
  using schedule = typename Recipe::schedule;
  static constexpr auto& where = placement_v<Model, Recipe>;
  static constexpr std::size_t S = count_stages(runs_v<Model, Recipe>), D = count_devices(where), V = chunks_of<schedule>;
  static constexpr bool holds = [] {
    if constexpr (deals_chunks<schedule>) {
      if (S != D * V) return false;
      auto const bounds = stage_bounds<S>(runs_v<Model, Recipe>);
      std::array<std::size_t, D> dealt{};
      for (std::size_t s = 0; s < S; ++s) {
        int const to = schedule::device_of(static_cast<int>(s), static_cast<int>(D));
        if (to < 0 || to >= static_cast<int>(D) || ++dealt[static_cast<std::size_t>(to)] > V) return false;
        for (std::size_t other = 0; other < s; ++other)
          if ((where[bounds[other]] == where[bounds[s]]) !=
              (schedule::device_of(static_cast<int>(other), static_cast<int>(D)) == to))
            return false;
      }
    }
    return true;
  }();
  using verdict = stages_are_dealt<stages_placed<S>, devices_placed<D>, chunks_dealt<V>>;
};

template <class Given, class Needed>
struct enough_microbatches {
  static_assert(!sizeof(Given),
                "mpx::recipe requires its pipeline schedule to have at least the microbatches that it needs for its "
                "stages");
};
template <class Model, class Recipe>
struct microbatches_suffice {
  using schedule = typename Recipe::schedule;
  static constexpr std::size_t given = schedule::microbatches;
  static constexpr std::size_t needed =
      schedule::fewest_microbatches(static_cast<int>(count_stages(runs_v<Model, Recipe>)));
  static constexpr bool holds = given >= needed;
  using verdict = enough_microbatches<given_microbatches<given>, needed_microbatches<needed>>;
};

template <class Given, bool PowerOfTwo>
struct sums_in_pairs {
  static_assert(PowerOfTwo, "mpx::canonical_sum requires a number of microbatches that is a power of two");
  static_assert(!PowerOfTwo, "mpx::canonical_sum requires its schedule to run backwards in the order of the microbatches");
};
template <class Model, class Recipe>
struct gradients_fold {
  using schedule = typename Recipe::schedule;
  static constexpr std::size_t given = schedule::microbatches;
  static constexpr bool power = (given & (given - 1)) == 0;
  static constexpr bool in_order = [] {
    constexpr work gradients = splits_backward<schedule> ? work::backward_weights : work::backward;
    int const lists = static_cast<int>(list_count<schedule>(count_stages(runs_v<Model, Recipe>)));
    for (int l = 0; Recipe::gradient_sum::sums_in_a_tree && l < lists; ++l) {
      std::array<int, chunks_of<schedule>> next{};
      for (task const& t : schedule::tasks(l, lists))
        if (t.kind == gradients && t.microbatch != next[static_cast<std::size_t>(t.chunk)]++) return false;
    }
    return true;
  }();
  static constexpr bool holds = !Recipe::gradient_sum::sums_in_a_tree || (power && in_order);
  using verdict = sums_in_pairs<given_microbatches<given>, power>;
};

template <class Given, bool Holds>
struct slices_sum {
  static_assert(Holds, "mpx::shard_gradients requires its recipe to sum gradients over the data ranks for each microbatch: "
                       "mpx::sum_each_microbatch, or one microbatch");
};
/// A rank that keeps a slice of the gradients cannot first add up all of its own microbatches'.
template <class Model, class Recipe>
struct slices_suffice {
  static constexpr std::size_t given = Recipe::schedule::microbatches;
  static constexpr bool holds = !Recipe::divides_gradients || Recipe::sums_each_microbatch || given == 1;
  using verdict = slices_sum<given_microbatches<given>, holds>;
};

template <class Fault, class Stage, class Microbatch, bool Deadlock>
struct schedule_runs {
  static_assert(Deadlock,
                "mpx::pipeline_schedule requires each stage to run every forward once and then its backward once");
  static_assert(!Deadlock,
                "mpx::pipeline_schedule requires its stages to reach their end, but their sends and receives deadlock");
};
template <class Model, class Recipe>
struct schedule_ends {
  struct outcome {
    schedule_fault fault;
    int stage, microbatch;
  };
  static constexpr outcome run = [] {
    constexpr auto& where = placement_v<Model, Recipe>;
    constexpr std::size_t S = count_stages(runs_v<Model, Recipe>);
    std::array<std::size_t, S> device_of_stage{};
    std::array<double, S> cost{};
    constexpr auto bounds = stage_bounds<S>(runs_v<Model, Recipe>);
    for (std::size_t s = 0; s < S; ++s) {
      cost[s] = 1;
      while (device_of_stage[s] < s && where[bounds[device_of_stage[s]]] != where[bounds[s]]) ++device_of_stage[s];
    }
    // Devices are numbered by their first stage here: enough to tell whether the lists end.
    auto const lists = make_actions<typename Recipe::schedule, S>(device_of_stage, channel_depth, cost, cost);
    return outcome{lists.fault, lists.fault_stage, lists.fault_microbatch};
  }();
  static constexpr bool holds = run.fault == schedule_fault::none;
  using verdict = schedule_runs<fault<run.fault>, at_stage<run.stage>, at_microbatch<run.microbatch>,
                                run.fault == schedule_fault::deadlock>;
};

}  // namespace detail

}  // namespace mpx
