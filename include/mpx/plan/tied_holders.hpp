/// @file
/// Who holds a tied parameter, and where the gradients of holders on devices of two kinds meet.
#pragma once

#include <cstddef>

#include <mpx/core/device.hpp>
#include <mpx/plan/ties.hpp>

namespace mpx {

/// Is this the first tie of its owner?
template <class Plan>
[[nodiscard]] constexpr bool is_first_tie(Plan const& made, std::size_t number) {
  for (std::size_t i = 0; i < number; ++i)
    if (made.ties[i].with(made.ties[number])) return false;
  return true;
}

/// Calls f(layer, parameter) for the owner of a tie, and then for each of its copies in the model's order. `first`: the
/// number of the owner's first tie.
template <class Plan, class F>
constexpr void each_holder(Plan const& made, std::size_t first, F&& f) {
  f(made.ties[first].owner_layer, made.ties[first].owner_parameter);
  for (std::size_t i = first; i < made.ties.size(); ++i)
    if (made.ties[i].with(made.ties[first])) f(made.ties[i].copy_layer, made.ties[i].copy_parameter);
}

/// The stage whose device lends memory to the gradients of a tie, because its holders' devices do not all reach each
/// other's: that of the first holder on a host. The number of stages where nobody needs to.
template <class Plan>
[[nodiscard]] constexpr std::size_t meeting_stage(Plan const& made, std::size_t first) {
  std::size_t const none = made.stages.size();
  if (!is_first_tie(made, first)) return none;
  std::size_t found = none;
  bool of_one_kind = true;
  device_kind const owners = made.placement[made.ties[first].owner_layer].kind;
  each_holder(made, first, [&](std::size_t layer, std::size_t) {
    of_one_kind = of_one_kind && made.placement[layer].kind == owners;
    if (found != none || made.placement[layer].kind != device_kind::host) return;
    for (std::size_t s = 0; s < none; ++s)
      if (layer >= made.stages[s].first && layer < made.stages[s].end) found = s;
  });
  return of_one_kind ? none : found;
}

}  // namespace mpx
