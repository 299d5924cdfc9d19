/// @file
/// In which order a stage works on its microbatches.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>

#include <mpx/core/diagnostic.hpp>

namespace mpx {

/// A backward comes whole; or first the gradient of what the stage takes, which the stage before waits for, and later those
/// of its weights, which nobody waits for.
enum class work : unsigned char { forward, backward, backward_input, backward_weights };

/// One piece of work. Sends and receives follow from it.
struct task {
  work kind = work::forward;
  int microbatch = 0;
  int chunk = 0;  ///< which of its device's stages, where the schedule deals several to each

  friend constexpr bool operator==(task const&, task const&) = default;
};

/// The number of microbatches, M, that a batch is split into.
template <std::size_t M>
struct microbatches {
  static_assert(M > 0, "mpx::microbatches requires its user to ask for at least one microbatch");
  static constexpr std::size_t value = M;
};

/// The number of stages, V, that each device has.
template <std::size_t V>
struct chunks {
  static_assert(V > 0, "mpx::chunks requires its user to ask for at least one chunk");
  static constexpr std::size_t value = V;
};

/// A schedule that deals the same number of stages to each device, and orders the work of a device as a whole.
template <class T>
concept deals_chunks = requires { T::chunks; };

/// A schedule whose backwards come in two halves.
template <class T>
concept splits_backward = requires { requires T::splits_backward; };

/// Tasks of one microbatch on one stage.
template <class T>
inline constexpr std::size_t tasks_of = splits_backward<T> ? 3 : 2;

template <class T>
concept schedule_of_stages =
    requires(int stage, int stages) {
      { T::microbatches } -> std::convertible_to<std::size_t>;
      { T::fewest_microbatches(stages) } -> std::convertible_to<std::size_t>;
      { T::tasks(stage, stages) } -> std::same_as<std::array<task, tasks_of<T> * T::microbatches>>;
    } ||
    unsatisfied<"a pipeline schedule offers `static constexpr std::size_t microbatches`, `static constexpr std::size_t fewest_microbatches(int stages)` and `static constexpr std::array<task, 2 * microbatches> tasks(int stage, int stages)`, 3 * microbatches with `splits_backward`", T>();
template <class T>
concept schedule_of_chunks =
    requires(int number, int of) {
      { T::microbatches } -> std::convertible_to<std::size_t>;
      { T::chunks } -> std::convertible_to<std::size_t>;
      { T::fewest_microbatches(of) } -> std::convertible_to<std::size_t>;
      { T::device_of(number, of) } -> std::same_as<int>;
      { T::tasks(number, of) } -> std::same_as<std::array<task, tasks_of<T> * T::microbatches * T::chunks>>;
    } ||
    unsatisfied<"a pipeline schedule with chunks offers `static constexpr std::size_t microbatches`, `static constexpr std::size_t fewest_microbatches(int stages)`, `static constexpr int device_of(int stage, int devices)` and `static constexpr std::array<task, 2 * microbatches * chunks> tasks(int device, int devices)`, 3 * with `splits_backward`", T>();

/// A pipeline schedule is a constexpr list of tasks, every forward and every backward once: a list for each stage; or,
/// where it has `chunks`, for each device, whose stages are then those that `device_of` deals to it, in their order. One
/// that says `static constexpr bool splits_backward = true` has both halves of each backward in its list instead.
template <class T>
concept pipeline_schedule = (deals_chunks<T> || schedule_of_stages<T>) && (!deals_chunks<T> || schedule_of_chunks<T>);

/// How many stages a schedule deals to each device; 1 where that is left to the placement.
template <class T>
inline constexpr std::size_t chunks_of = 1;
template <deals_chunks T>
inline constexpr std::size_t chunks_of<T> = T::chunks;

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

/// 1F1B over V stages on each device, dealt like cards: device d of p has the stages d, p + d, 2 p + d, ... Microbatches
/// pass in groups of p: a device takes a group through one of its stages, then through the next; p must divide M. With
/// equal stages the pipeline fills and drains in 1 / V of the time, for V times the messages: its idle share is
/// (p - 1) / (V M + p - 1). Device d has at most min(V M, 2 (p - d - 1) + (V - 1) p + 1) forwards without their backward.
/// Source  Narayanan et al. 2021, arXiv:2104.04473, section 2.2
template <class Microbatches, class Chunks>
struct interleaved {
  static constexpr std::size_t microbatches = Microbatches::value;
  static constexpr std::size_t chunks = Chunks::value;
  /// The next multiple of the devices.
  static constexpr std::size_t fewest_microbatches(int stages) {
    std::size_t const devices = static_cast<std::size_t>(stages) / chunks;
    return (microbatches + devices - 1) / devices * devices;
  }
  static constexpr int device_of(int stage, int devices) { return stage % devices; }

  static constexpr std::array<task, 2 * microbatches * chunks> tasks(int device, int devices) {
    constexpr int all = static_cast<int>(microbatches * chunks);
    int const ahead = 2 * (devices - device - 1) + (static_cast<int>(chunks) - 1) * devices;  // before the first backward
    std::array<task, 2 * microbatches * chunks> list{};
    std::size_t n = 0;
    int forward = 0;
    for (; forward < ahead && forward < all; ++forward) list[n++] = nth(work::forward, forward, devices);
    for (int backward = 0; backward < all; ++backward) {
      if (forward < all) list[n++] = nth(work::forward, forward++, devices);
      list[n++] = nth(work::backward, backward, devices);
    }
    return list;
  }

 private:
  /// The n-th forward or backward of a device: groups of microbatches, through its stages forth or back.
  static constexpr task nth(work kind, int n, int devices) {
    constexpr int v = static_cast<int>(chunks);
    int const group = n / (devices * v), within = n % (devices * v);
    int const chunk = within / devices;
    return {kind, group * devices + within % devices, kind == work::forward ? chunk : v - 1 - chunk};
  }
};

}  // namespace mpx
