/// @file
/// Placed layers cut into stages: runs of neighbours on one device, and where the placement ends a run.
#pragma once

#include <array>
#include <cstddef>

#include <mpx/core/device.hpp>
#include <mpx/plan/layer_table.hpp>

namespace mpx {

template <std::size_t N>
[[nodiscard]] constexpr std::size_t count_stages(std::array<device, N> const& runs) {
  std::size_t stages = N > 0;
  for (std::size_t i = 1; i < N; ++i) stages += runs[i] != runs[i - 1];
  return stages;
}

template <std::size_t N>
[[nodiscard]] constexpr std::size_t count_devices(std::array<device, N> const& where) {
  std::size_t devices = 0;
  for (std::size_t i = 0; i < N; ++i) {
    if (i > 0 && where[i] == where[i - 1]) continue;  // a stage goes on
    std::size_t before = 0;
    while (where[before] != where[i]) ++before;
    devices += before == i;
  }
  return devices;
}

/// Row of each stage's first layer, and the number of layers at the end.
template <std::size_t Stages, std::size_t N>
[[nodiscard]] constexpr std::array<std::size_t, Stages + 1> stage_bounds(std::array<device, N> const& runs) {
  std::array<std::size_t, Stages + 1> bounds{};
  std::size_t s = 0;
  for (std::size_t i = 0; i < N; ++i)
    if (i > 0 && runs[i] != runs[i - 1]) bounds[++s] = i;
  bounds[Stages] = N;
  return bounds;
}

/// Count layers of type L in a stage. Equal stages are lists of equal runs, and so the same type.
template <class L, std::size_t Count>
struct run {
  using layer = L;
  static constexpr std::size_t count = Count;
};

/// The types of a stage's layers. Which layers of the model they are is a number, known to the plan.
template <class... Runs>
struct stage_layers {};

namespace detail {

template <class... A>
struct joined_runs;
template <>
struct joined_runs<> {
  using type = stage_layers<>;
};
template <class... A>
struct joined_runs<stage_layers<A...>> {
  using type = stage_layers<A...>;
};
template <class... A, class... B, class... Rest>
struct joined_runs<stage_layers<A...>, stage_layers<B...>, Rest...> : joined_runs<stage_layers<A..., B...>, Rest...> {};

template <class L, std::size_t Count>
struct one_run {
  using type = stage_layers<run<L, Count>>;
};
template <class L>
struct one_run<L, 0> {
  using type = stage_layers<>;
};

template <class Model, class Recipe, std::size_t Stage>
struct segment_counts {
  static constexpr auto value = [] {
    constexpr auto& layers = layers_v<Model, Recipe>;
    constexpr auto& runs = runs_v<Model, Recipe>;
    std::array<std::size_t, segments_of<Model>::size> counts{};
    std::size_t stage = 0;
    for (std::size_t i = 0; i < layers.size(); ++i) {
      if (i > 0 && runs[i] != runs[i - 1]) ++stage;
      if (stage == Stage) ++counts[layers[i].segment];
    }
    return counts;
  }();
};

template <class Counts, class Segments, class Indices>
struct stage_from;
template <class Counts, class... S, std::size_t... I>
struct stage_from<Counts, segments<S...>, std::index_sequence<I...>>
    : joined_runs<typename one_run<typename S::layer, Counts::value[I]>::type...> {};

}  // namespace detail

/// The layer types of one stage of a placed model.
template <class Model, class Recipe, std::size_t Stage>
using stage_layers_t = typename detail::stage_from<detail::segment_counts<Model, Recipe, Stage>, segments_of<Model>,
                                                   std::make_index_sequence<segments_of<Model>::size>>::type;

}  // namespace mpx
