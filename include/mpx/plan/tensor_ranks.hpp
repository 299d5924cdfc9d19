/// @file
/// Can the tensor ranks of a mesh share a layer evenly?
#pragma once

#include <array>
#include <cstddef>
#include <type_traits>

#include <boost/hana/tuple.hpp>

#include <mpx/model/footprint.hpp>

namespace mpx {

/// What a layer divides among tensor ranks.
enum class divided : unsigned char { nothing, heads, vocabulary, columns };

namespace detail {

/// The first thing that so many ranks cannot share evenly.
struct indivisible {
  divided what = divided::nothing;
  std::size_t size = 0;

  [[nodiscard]] constexpr bool exists() const { return what != divided::nothing; }
};

template <std::size_t N>
constexpr std::size_t first_uneven(std::array<tensor_extent, N> const& list, std::size_t ranks) {
  for (auto const& one : list)
    if (one.over_tensor == spread::sharded_1 && one.width % ranks != 0) return one.width;
  return 0;
}

/// Elements along a parameter's sharded dimension, of one of its parts.
template <class Parameter>
constexpr std::size_t sharded_extent() {
  using over = typename Parameter::over;
  if constexpr (over::spread_over_tensor == spread::sharded_0) return Parameter::shape::extents[0] / over::parts;
  else if constexpr (over::spread_over_tensor == spread::sharded_1) return Parameter::shape::extents[1] / over::parts;
  else return 0;
}

template <class L>
constexpr indivisible find_indivisible(std::size_t ranks);

template <class... L>
constexpr indivisible find_indivisible_in(boost::hana::tuple<L...>*, std::size_t ranks) {
  indivisible found;
  static_cast<void>(((found = find_indivisible<L>(ranks), found.exists()) || ...));
  return found;
}

template <class L>
constexpr indivisible find_indivisible(std::size_t ranks) {
  if constexpr (block<L>) {
    return find_indivisible<typename L::body>(ranks);
  } else if constexpr (residual_layer<L>) {
    return find_indivisible<typename L::branch>(ranks);
  } else if constexpr (chain<L>) {
    return find_indivisible_in(static_cast<typename L::layers*>(nullptr), ranks);
  } else {
    if constexpr (requires { L::heads; })
      if (L::heads % ranks != 0) return {divided::heads, L::heads};
    std::size_t size = [ranks]<class... P>(boost::hana::tuple<P...>*) {
      std::size_t first = 0;
      static_cast<void>(((sharded_extent<P>() % ranks != 0 && (first = sharded_extent<P>(), true)) || ...));
      return first + 0 * ranks;
    }(static_cast<typename L::parameters*>(nullptr));
    if (size == 0) size = first_uneven(L::saves, ranks);
    if (size == 0) return {};
    bool const ids = std::is_same_v<typename L::row_label, name<"head">> || requires { L::vocabulary; };
    return {ids ? divided::vocabulary : divided::columns, size};
  }
}

}  // namespace detail

}  // namespace mpx
