/// @file
/// How data ranks divide a stage's parameters among themselves.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include <mpx/plan/buckets.hpp>
#include <mpx/plan/parameter_table.hpp>
#include <mpx/plan/verify.hpp>
#include <mpx/policy/sharding.hpp>

namespace mpx {

/// Neighbouring parameters of a bucket, with a slice for each of D data ranks.
template <std::size_t D>
struct gradient_section {
  std::size_t first_layer = 0;            ///< its bucket's
  std::size_t begin = 0, end = 0;         ///< elements from the stage's first gradient
  std::array<std::size_t, D + 1> slices{};  ///< elements from `begin`; rank r's slice begins at slices[r]

  [[nodiscard]] constexpr std::size_t size() const { return end - begin; }
};

/// What one data rank updates of a section, and where it stores what it alone has of it.
/// Units   elements: from the stage's first gradient; from the first that this rank stores
struct held_slice {
  std::size_t begin = 0, end = 0;
  std::size_t stored = 0;
};

namespace detail {

/// A parameter's place in its stage, with the gap behind it.
struct placed_parameter {
  std::size_t begin = 0, count = 0;
  bool tied = false;
  bool partial = false;  ///< each tensor rank knows a part of its gradient

  [[nodiscard]] constexpr std::size_t end() const { return begin + padded_elements(count); }
};

/// Calls f(placed_parameter) for the parameters of a bucket, in memory order.
template <class Model, class Recipe, class F>
constexpr void each_placed(gradient_bucket const& bucket, F f) {
  constexpr auto& layers = layers_v<Model, Recipe>;
  constexpr auto& ties = ties_v<Model, Recipe>;
  std::size_t begin = bucket.begin;
  for (std::size_t row = bucket.first_layer; row < bucket.end_layer; ++row) {
    []<class... S>(segments<S...>, std::size_t wanted, auto&& call) {
      std::size_t s = 0;
      ((s++ == wanted ? call(parameters_of<typename S::layer, Recipe::mesh::mesh_tensor>) : void()), ...);
    }(segments_of<Model>{}, layers[row].segment, [&](auto const& list) {
      for (std::size_t k = 0; k < list.size(); ++k) {
        bool tied = !list[k].tied_to.empty();
        for (auto const& t : ties) tied = tied || (t.owner_layer == row && t.owner_parameter == k);
        bool const partial = parameter_spread(list[k].over_tensor, Recipe::capacity.rows_over_tensor) == spread::replicated;
        f(placed_parameter{begin + list[k].offset, list[k].count, tied, partial});
      }
    });
    begin += layers[row].parameter_elements;
  }
}

/// Slices as equal as whole portions allow: each begins at a parameter, or at a portion of one. `moved`: how much further
/// than that each should begin, to make up for the slices of other sections.
template <class Model, class Recipe, std::size_t D>
constexpr void cut(gradient_section<D>& section, gradient_bucket const& bucket, std::array<std::ptrdiff_t, D> const& moved) {
  std::size_t r = 1;
  each_placed<Model, Recipe>(bucket, [&](placed_parameter const& p) {
    if (p.begin < section.begin || p.begin >= section.end) return;
    for (; r < D; ++r) {
      auto const even = static_cast<std::ptrdiff_t>(section.size() * r / D), last = static_cast<std::ptrdiff_t>(section.size()) - 1;
      std::size_t const wanted = section.begin + static_cast<std::size_t>(std::clamp<std::ptrdiff_t>(even + moved[r], 0, last));
      if (wanted >= p.end()) return;
      std::size_t const low = p.begin + std::min((wanted - p.begin) / portion_elements, (p.count - 1) / portion_elements) * portion_elements;
      std::size_t const high = low + portion_elements < p.begin + p.count ? low + portion_elements : p.end();
      section.slices[r] = std::max((wanted - low <= high - wanted ? low : high) - section.begin, section.slices[r - 1]);
    }
  });
  section.slices[D] = section.size();
}

/// Units   elements
template <class Recipe>
inline constexpr std::size_t least_bucket = Recipe::buckets::bucket.count / sizes_of<typename Recipe::precision>.accumulate;

}  // namespace detail

/// Calls f(gradient_section, its gradient_bucket) for the sections of a stage, last buckets first. Where data ranks divide the optimizer's
/// state, a parameter that shares its values with another one is a section of its own: all its holders are divided alike.
template <class Model, class Recipe, class F>
constexpr void each_section(stage_info const& stage, F f) {
  constexpr std::size_t D = Recipe::mesh::mesh_data;
  std::array<std::ptrdiff_t, D> behind{};  // of each slice's begin, all sections with weights so far: by how much it came too early
  auto& places = parameter_places_v<Model, Recipe>;
  each_bucket(stage, places, layers_v<Model, Recipe>, detail::least_bucket<Recipe>, [&](gradient_bucket const& bucket) {
    gradient_section<D> next{bucket.first_layer, bucket.begin, bucket.begin, {}};
    auto const close = [&](std::size_t end, [[maybe_unused]] bool tied) {
      next.end = end;
      if (next.size() == 0) return;
      if constexpr (Recipe::divides_optimizer) {
        detail::cut<Model, Recipe>(next, bucket, tied ? std::array<std::ptrdiff_t, D>{} : behind);
        for (std::size_t r = 1; r < D && next.begin < stage.weight_elements; ++r)
          behind[r] += static_cast<std::ptrdiff_t>(next.size() * r / D) - static_cast<std::ptrdiff_t>(next.slices[r]);
      }
      f(next, bucket);
      next = {bucket.first_layer, end, end, {}};
    };
    if constexpr (Recipe::divides_optimizer)
      detail::each_placed<Model, Recipe>(bucket, [&](detail::placed_parameter const& p) {
        if (!p.tied) return;
        close(p.begin, false);
        close(p.end(), true);
      });
    close(bucket.end, false);
  });
}

namespace detail {

/// Elements of partial gradients in each data rank's slice of a section.
template <class Model, class Recipe, std::size_t D>
constexpr std::array<std::size_t, D> partial_in_slices(gradient_section<D> const& section, gradient_bucket const& bucket) {
  std::array<std::size_t, D> found{};
  each_placed<Model, Recipe>(bucket, [&](placed_parameter const& p) {
    for (std::size_t r = 0; p.partial && r < D; ++r) {
      std::size_t const begin = std::max(p.begin, section.begin + section.slices[r]);
      std::size_t const end = std::min(p.begin + p.count, section.begin + section.slices[r + 1]);
      found[r] += begin < end ? end - begin : 0;
    }
  });
  return found;
}

/// Notes the most that a data rank has of a stage.
template <class Model, class Recipe>
constexpr void divide_stage(stage_info& stage) {
  std::array<std::size_t, Recipe::mesh::mesh_data> elements{}, with_weights{}, partial{};
  each_section<Model, Recipe>(stage, [&](auto const& section, auto const& bucket) {
    for (std::size_t r = 0; r < elements.size(); ++r) {
      std::size_t const slice = section.slices[r + 1] - section.slices[r];
      elements[r] += slice;
      if (section.begin < stage.weight_elements) with_weights[r] += slice;
    }
    if (!sharded(Recipe::capacity.rows_over_tensor)) return;
    auto const of_section = partial_in_slices<Model, Recipe>(section, bucket);
    for (std::size_t r = 0; r < partial.size(); ++r) partial[r] += of_section[r];
  });
  stage.divided = true;
  stage.partial_gradients = *std::max_element(partial.begin(), partial.end());
  stage.slice_elements = *std::max_element(elements.begin(), elements.end());
  stage.weight_slice_elements = *std::max_element(with_weights.begin(), with_weights.end());
  if constexpr (Recipe::divides_gradients) {
    std::size_t buckets = 0;
    each_bucket(stage, parameter_places_v<Model, Recipe>, layers_v<Model, Recipe>, least_bucket<Recipe>, [&](gradient_bucket const& b) {
      ++buckets;
      stage.bucket_elements = std::max(stage.bucket_elements, b.size());
    });
    stage.gradients_divided = true;
    stage.buckets_at_once = std::min<std::size_t>(2, buckets * Recipe::schedule::microbatches);
  }
}

}  // namespace detail

}  // namespace mpx
