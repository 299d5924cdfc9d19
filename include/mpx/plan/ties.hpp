/// @file
/// Parameters that share their values, found by name.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include <mpx/plan/layer_table.hpp>

namespace mpx {

/// A parameter that shares its values with another one, their owner. An owner may have any number of copies.
struct tie {
  std::size_t copy_layer = 0, copy_parameter = 0;
  std::size_t owner_layer = 0, owner_parameter = 0;
  std::size_t count = 0;
  bool owner_is_copy = false;  ///< a mistake: the named one shares the values of a third

  /// Do both share the values of one owner?
  [[nodiscard]] constexpr bool with(tie const& other) const {
    return owner_layer == other.owner_layer && owner_parameter == other.owner_parameter;
  }
};

namespace detail {

template <class Model>
constexpr std::size_t count_ties() {
  return []<class... S>(segments<S...>) {
    std::size_t ties = 0;
    (
        [&] {
          for (auto const& p : parameters_of<typename S::layer>) ties += p.tied_to.empty() ? 0 : S::count;
        }(),
        ...);
    return ties;
  }(segments_of<Model>{});
}

/// Calls f(row, parameter index, parameter) for every parameter of every layer whose type has ties, or is asked for.
template <class Model, std::size_t N, class F>
constexpr void each_parameter(std::array<layer_info, N> const& layers, F f) {
  []<class... S>(segments<S...>, std::array<layer_info, N> const& rows, F& call) {
    std::size_t s = 0;
    (
        [&] {
          for (std::size_t r = 0; r < N; ++r) {
            if (rows[r].segment != s) continue;
            auto const& list = parameters_of<typename S::layer>;
            for (std::size_t k = 0; k < list.size(); ++k) call(r, k, list[k]);
          }
          ++s;
        }(),
        ...);
  }(segments_of<Model>{}, layers, f);
}

/// Is `full` the name of this layer's parameter?
constexpr bool is_parameter(std::string_view full, layer_name const& layer, std::string_view label) {
  if (full.size() < label.size() + 1 || !full.ends_with(label)) return false;
  full.remove_suffix(label.size());
  return full.back() == '.' && layer.is(full.substr(0, full.size() - 1));
}

/// In the model's order of the copies.
template <class Model, std::size_t Ties, std::size_t N>
constexpr std::array<tie, Ties> find_ties(std::array<layer_info, N> const& layers) {
  std::array<tie, Ties> ties{};
  if constexpr (Ties > 0) {
    std::size_t n = 0;
    std::array<parameter_info, Ties> copies{};
    each_parameter<Model>(layers, [&](std::size_t r, std::size_t k, parameter_info const& p) {
      if (p.tied_to.empty()) return;
      ties[n] = {r, k, N, 0, p.count, false};
      copies[n++] = p;
    });
    each_parameter<Model>(layers, [&](std::size_t r, std::size_t k, parameter_info const& p) {
      for (std::size_t i = 0; i < Ties; ++i)
        if (is_parameter(copies[i].tied_to, layers[r].name, p.label)) {
          ties[i].owner_layer = r;
          ties[i].owner_parameter = k;
          ties[i].owner_is_copy = !p.tied_to.empty();
          if (p.rank != copies[i].rank || p.shape != copies[i].shape || p.over_tensor != copies[i].over_tensor)
            ties[i].count = 0;
        }
    });
  }
  return ties;
}

}  // namespace detail

}  // namespace mpx
