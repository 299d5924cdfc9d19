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

/// Calls f(row, parameter index, parameter) for the parameter with this full name, where there is one. Layers of one
/// segment are looked at when their type has a parameter whose label fits.
template <class Model, std::size_t N, class F>
constexpr void at_parameter(std::array<layer_info, N> const& layers, std::string_view full, F f) {
  []<class... S>(segments<S...>, std::array<layer_info, N> const& rows, std::string_view name, F& call) {
    std::size_t s = 0;
    (
        [&] {
          auto const& list = parameters_of<typename S::layer>;
          for (std::size_t k = 0; k < list.size(); ++k) {
            if (!name.ends_with(list[k].label)) continue;
            for (std::size_t r = 0; r < N; ++r)
              if (rows[r].segment == s && is_parameter(name, rows[r].name, list[k].label)) call(r, k, list[k]);
          }
          ++s;
        }(),
        ...);
  }(segments_of<Model>{}, layers, full, f);
}

/// Have two parameters one shape, divided among the tensor ranks in one way?
constexpr bool lie_alike(parameter_info const& a, parameter_info const& b) {
  return a.rank == b.rank && a.shape == b.shape && a.over_tensor == b.over_tensor && a.parts == b.parts;
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
    for (std::size_t i = 0; i < Ties; ++i) {
      std::size_t same = 0;  // the first copy of the same owner: an owner is looked for once
      while (copies[same].tied_to != copies[i].tied_to) ++same;
      if (same == i)
        at_parameter<Model>(layers, copies[i].tied_to, [&](std::size_t r, std::size_t k, parameter_info const& p) {
          ties[i].owner_layer = r;
          ties[i].owner_parameter = k;
          ties[i].owner_is_copy = !p.tied_to.empty();
          if (!lie_alike(p, copies[i])) ties[i].count = 0;
        });
      else
        ties[i] = {ties[i].copy_layer, ties[i].copy_parameter, ties[same].owner_layer, ties[same].owner_parameter,
                   lie_alike(copies[i], copies[same]) ? ties[same].count : 0, ties[same].owner_is_copy};
    }
  }
  return ties;
}

}  // namespace detail

}  // namespace mpx
