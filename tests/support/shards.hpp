// What of a layer tensor ranks divide, as a list.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

#include <mpx/plan/parameter_table.hpp>

namespace test {

/// A parameter of which each rank has a slice.
struct shard {
  std::string_view label;
  mpx::spread over = mpx::spread::invariant;
  std::size_t parts = 1;

  friend constexpr bool operator==(shard const&, shard const&) = default;
};

/// Those of a layer, in memory order. All its other parameters are whole on each rank.
template <class L>
constexpr auto shards_of = [] {
  constexpr auto& all = mpx::parameters_of<L>;
  constexpr auto divided = [](auto const& p) { return p.over_tensor != mpx::spread::invariant; };
  std::array<shard, static_cast<std::size_t>(std::count_if(all.begin(), all.end(), divided))> list{};
  std::size_t n = 0;
  for (auto const& p : all)
    if (divided(p)) list[n++] = {p.label, p.over_tensor, p.parts};
  return list;
}();

}  // namespace test
