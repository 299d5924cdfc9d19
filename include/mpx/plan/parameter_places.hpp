/// @file
/// Where each layer's parameters stand in its stage, and which layers read the weights of another one.
#pragma once

#include <array>
#include <cstddef>

#include <mpx/plan/partition.hpp>
#include <mpx/plan/verify.hpp>

namespace mpx {

/// Every layer has gradients of its own. Weights, masters and states too, but for a layer whose only parameter is a tied
/// copy on a device that holds the parameter already: it reads those. Its gradient stands behind those of the other
/// layers of its stage, which so have their weights, masters, states and gradients at the same offsets.
struct parameter_place {
  std::size_t parameter_offset = 0;  ///< elements from its stage's first gradient
  std::size_t weights_stage = 0;     ///< number of the stage where its weights, master and states are
  std::size_t weights_offset = 0;    ///< elements from the first of these
  bool shares_weights = false;       ///< with another layer that holds them
};

namespace detail {

/// A layer's parameter with this index, on one tensor rank.
template <class Model, class Recipe>
constexpr parameter_info parameter_in_layer(layer_info const& layer, std::size_t index) {
  return []<class... S>(segments<S...>, std::size_t segment, std::size_t k) {
    std::size_t s = 0;
    parameter_info found{};
    ((s++ == segment ? void(found = parameters_of<typename S::layer, Recipe::mesh::mesh_tensor>[k]) : void()), ...);
    return found;
  }(segments_of<Model>{}, layer.segment, index);
}

template <class Model>
constexpr bool has_one_parameter(layer_info const& layer) {
  return []<class... S>(segments<S...>, std::size_t segment) {
    std::size_t s = 0;
    return ((s++ == segment && parameters_of<typename S::layer>.size() == 1) || ...);
  }(segments_of<Model>{}, layer.segment);
}

template <class Model, class Recipe>
constexpr auto place_parameters() {
  constexpr auto& layers = layers_v<Model, Recipe>;
  constexpr auto& where = placement_v<Model, Recipe>;
  constexpr auto& ties = ties_v<Model, Recipe>;
  constexpr std::size_t stages = count_stages(runs_v<Model, Recipe>);
  constexpr auto bounds = stage_bounds<stages>(runs_v<Model, Recipe>);
  std::array<parameter_place, layers.size()> places{};

  // The first of a tie's holders on a device holds the values for the others there: the owner, or a copy.
  std::array<tie, ties.size()> read{};
  for (std::size_t i = 0; i < ties.size(); ++i) {
    tie const& t = ties[i];
    std::size_t first = 0;
    while (!(ties[first].with(t) && where[ties[first].copy_layer] == where[t.copy_layer])) ++first;
    bool const with_owner = where[t.owner_layer] == where[t.copy_layer];
    places[t.copy_layer].shares_weights = has_one_parameter<Model>(layers[t.copy_layer]) && (with_owner || first < i);
    read[i] = t;
    if (with_owner) continue;
    read[i].owner_layer = ties[first].copy_layer;
    read[i].owner_parameter = ties[first].copy_parameter;
  }

  for (std::size_t s = 0; s < stages; ++s) {
    std::size_t next = 0;
    for (bool const shares : {false, true})
      for (std::size_t r = bounds[s]; r < bounds[s + 1]; ++r) {
        if (places[r].shares_weights != shares) continue;
        places[r].parameter_offset = places[r].weights_offset = next;
        places[r].weights_stage = s;
        next += layers[r].parameter_elements;
      }
  }
  for (tie const& t : read) {
    auto& copy = places[t.copy_layer];
    if (!copy.shares_weights) continue;
    copy.weights_stage = places[t.owner_layer].weights_stage;
    copy.weights_offset = places[t.owner_layer].parameter_offset +
                          parameter_in_layer<Model, Recipe>(layers[t.owner_layer], t.owner_parameter).offset;
  }
  return places;
}

}  // namespace detail

/// Of every layer of a placed model.
template <class Model, class Recipe>
inline constexpr auto parameter_places_v = detail::place_parameters<Model, Recipe>();

}  // namespace mpx
