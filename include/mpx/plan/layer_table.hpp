/// @file
/// From types to numbers: one row for each layer. Everything after this is arithmetic on arrays.
#pragma once

#include <array>
#include <cstddef>

#include <mpx/plan/parameter_table.hpp>
#include <mpx/plan/segments.hpp>
#include <mpx/policy/recipe.hpp>

namespace mpx {

namespace detail {

/// Copies of the gradients beside those under way.
template <class Recipe>
inline constexpr std::size_t copies_that_wait = [] {
  constexpr std::size_t M = Recipe::schedule::microbatches;
  if (Recipe::divides_gradients) return std::size_t{0};
  if (Recipe::sums_each_microbatch) return std::size_t{M > 1};
  return waiting_sums<typename Recipe::gradient_sum>(M);
}();

/// Bytes that so many parameters occupy for the whole run: weights, master copies, gradients and the optimizer's states.
/// What data ranks divide is counted as if it were divided evenly.
template <class Recipe>
constexpr std::size_t bytes_of_parameters(std::size_t count) {
  constexpr element_sizes sizes = sizes_of<typename Recipe::precision>;
  constexpr bool master_copy = has_master_copy<typename Recipe::precision>;
  constexpr std::size_t ranks = Recipe::divides_optimizer ? Recipe::mesh::mesh_data : 1;
  std::size_t const divided = (count + ranks - 1) / ranks;
  std::size_t const gradients = (Recipe::divides_gradients ? divided : count * (1 + copies_that_wait<Recipe>)) * sizes.accumulate;
  std::size_t const states = divided * sizes.accumulate * static_cast<std::size_t>(Recipe::optimizer::states);
  return gradients + states + (master_copy ? count * sizes.compute + divided * sizes.accumulate : count * sizes.accumulate);
}

template <class Recipe, class... S>
constexpr auto make_layer_table(segments<S...>, extents const& e, element_sizes sizes) {
  std::array<layer_info, segments<S...>::layers> rows{};
  std::size_t r = 0, s = 0;
  (
      [&] {
        layer_info row = segment_row<S>(e, sizes);
        row.segment = s++;
        row.state_bytes = bytes_of_parameters<Recipe>(row.parameter_elements) + row.constant_elements * sizes.compute;
        for (auto const& p : parameters_of<typename S::layer>) {
          if (p.tied_to.empty()) row.parameters += p.size();
          if (parameter_spread(p.over_tensor, e.rows_over_tensor) == spread::replicated) row.partial_gradients += p.count;
        }
        for (std::size_t i = 0; i < S::count; ++i) {
          row.copy = i;
          rows[r++] = row;
        }
      }(),
      ...);

  // Layers that share a path are numbered; a layer alone under its path is not, unless it stands in a repeat.
  constexpr std::array<std::string_view, sizeof...(S)> paths{S::path::view()...};
  constexpr std::array<bool, sizeof...(S)> numbered = [&] {
    std::array<bool, sizeof...(S)> many{S::repeated...};
    for (std::size_t a = 0; a < paths.size(); ++a)
      for (std::size_t b = 0; b < paths.size(); ++b) many[a] = many[a] || (a != b && paths[a] == paths[b]);
    return many;
  }();
  std::array<std::size_t, sizeof...(S)> first{};  // number of the segment's first layer
  std::array<std::size_t, sizeof...(S)> counts{S::count...};
  for (std::size_t a = 0; a < paths.size(); ++a)
    for (std::size_t b = 0; b < a; ++b) first[a] += paths[a] == paths[b] ? counts[b] : 0;
  for (auto& row : rows)
    if (numbered[row.segment]) row.name.index = static_cast<int>(first[row.segment] + row.copy);
  return rows;
}

/// Marks the layers that the policy recomputes, where there is something to recompute.
template <class Policy, std::size_t N>
constexpr std::array<layer_info, N> with_recompute(std::array<layer_info, N> rows, extents const& e, element_sizes sizes) {
  for (auto& row : rows) {
    std::size_t const input = row.takes.exists() ? row.takes.bytes(e, sizes) : 0;
    row.recomputed = row.keeps_input && !row.gradient_replaces_input && row.saved_bytes > input && Policy::recomputes(row);
    row.kept_bytes = row.recomputed ? input : row.saved_bytes;
  }
  return rows;
}

}  // namespace detail

/// The layers of a model at a recipe's capacity and precision.
template <class Model, class Recipe>
inline constexpr auto layers_v =
    detail::with_recompute<typename Recipe::recompute>(
        detail::make_layer_table<Recipe>(segments_of<Model>{}, Recipe::capacity, sizes_of<typename Recipe::precision>),
        Recipe::capacity, sizes_of<typename Recipe::precision>);

/// The device of each layer.
template <class Model, class Recipe>
inline constexpr auto placement_v = Recipe::placement::assign(layers_v<Model, Recipe>);

/// For each layer something that differs from its neighbour's where a stage ends: its device, unless the placement says
/// itself which runs it has laid on one device.
template <class Model, class Recipe>
inline constexpr auto runs_v = [] {
  if constexpr (says_runs<typename Recipe::placement>) return Recipe::placement::runs(layers_v<Model, Recipe>);
  else return placement_v<Model, Recipe>;
}();

/// Row of the layer with this full name; the number of layers where there is none.
template <std::size_t N>
[[nodiscard]] constexpr std::size_t find_layer(std::array<layer_info, N> const& layers, std::string_view full_name) {
  for (std::size_t i = 0; i < N; ++i)
    if (layers[i].name.is(full_name)) return i;
  return N;
}

}  // namespace mpx
