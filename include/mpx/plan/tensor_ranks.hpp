/// @file
/// Does a mesh fit its model: the devices of its pipeline axis, and what its tensor ranks share?
#pragma once

#include <array>
#include <cstddef>
#include <type_traits>

#include <boost/hana/tuple.hpp>

#include <mpx/model/footprint.hpp>
#include <mpx/plan/names.hpp>
#include <mpx/plan/partition.hpp>

namespace mpx {

/// What a layer divides among tensor ranks.
enum class divided : unsigned char { nothing, heads, key_value_heads, vocabulary, columns };

// Facts that errors print.
template <std::size_t N> struct tensor_ranks {};
template <std::size_t N> struct to_be_shared {};
template <std::size_t N> struct next_multiple {};
template <std::size_t N> struct pipeline_axis {};
template <std::size_t N> struct devices_placed {};

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

/// Columns of a part of the stream that a message carries, if the ranks cannot share them.
template <class Message>
constexpr std::size_t uneven_stream(std::size_t ranks) {
  using stream = only_stream_t<Message>;
  if constexpr (std::is_void_v<stream>) return 0;
  else return sharded(stream::over_tensor) && stream::width / stream::parts % ranks != 0 ? stream::width / stream::parts : 0;
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
    if constexpr (requires { L::key_value_heads; })
      if (L::key_value_heads % ranks != 0) return {divided::key_value_heads, L::key_value_heads};
    std::size_t size = []<class... P>(boost::hana::tuple<P...>*, [[maybe_unused]] std::size_t among) {
      std::size_t first = 0;
      static_cast<void>(((sharded_extent<P>() % among != 0 && (first = sharded_extent<P>(), true)) || ...));
      return first;
    }(static_cast<typename L::parameters*>(nullptr), ranks);
    if (size == 0) size = first_uneven(L::saves, ranks);
    if (size == 0) size = uneven_stream<typename L::takes>(ranks);
    if (size == 0) size = uneven_stream<typename L::gives>(ranks);
    if (size == 0) return {};
    constexpr bool ids = requires { L::vocabulary; } || std::is_same_v<typename row_label<L>::type, name<"head">>;
    return {ids ? divided::vocabulary : divided::columns, size};
  }
}

template <divided What, class Layer, class Size, class Ranks, class Next>
struct evenly_shared {
  static_assert(What != divided::heads, "mpx::mesh requires its tensor ranks to divide the heads of each attention");
  static_assert(What != divided::key_value_heads,
                "mpx::mesh requires its tensor ranks to divide the key/value heads of each attention");
  static_assert(What != divided::vocabulary,
                "mpx::mesh requires its tensor ranks to divide the vocabulary: pad it to a multiple of them "
                "(mpx::with_padded_vocabulary)");
  static_assert(What != divided::columns, "mpx::mesh requires its tensor ranks to divide the columns that they share");
};
template <class Model, class Recipe>
struct ranks_share_evenly {
  static constexpr std::size_t ranks = Recipe::mesh::mesh_tensor;
  struct outcome {
    std::size_t segment = 0;
    indivisible what{};
  };
  static constexpr outcome first = []<class... S>(segments<S...>) {
    outcome out;
    if (ranks > 1)
      static_cast<void>(((out.what = find_indivisible<typename S::layer>(ranks), out.segment += !out.what.exists(),
                          out.what.exists()) || ...));
    return out;
  }(segments_of<Model>{});
  static constexpr bool holds = !first.what.exists();
  static constexpr std::size_t row = [] {
    std::size_t r = 0;
    while (r < layers_v<Model, Recipe>.size() && (holds || layers_v<Model, Recipe>[r].segment != first.segment)) ++r;
    return r;
  }();
  using verdict = evenly_shared<first.what.what, layer_named_t<Model, Recipe, row>, to_be_shared<first.what.size>,
                                tensor_ranks<ranks>, next_multiple<(first.what.size + ranks - 1) / ranks * ranks>>;
};

/// A loss of whole logits would have slices of their rows: each rank would know a part of it.
template <class Layer>
struct loss_takes_slices {
  static_assert(!sizeof(Layer),
                "mpx::sequence_parallel requires its loss to take slices of the vocabulary: mpx::cross_entropy<V> behind "
                "mpx::language_head");
};
template <class Model, class Recipe>
struct loss_has_all_rows {
  static constexpr auto& layers = layers_v<Model, Recipe>;
  static constexpr std::size_t row = layers.size() - 1;
  static constexpr bool holds =
      Recipe::capacity.rows_over_tensor == spread::invariant || sharded(layers[row].takes.over_tensor);
  using verdict = loss_takes_slices<layer_named_t<Model, Recipe, row>>;
};

template <class Pipeline, class Devices>
struct mesh_is_placed {
  static_assert(!sizeof(Pipeline), "mpx::mesh requires its placement to use as many devices as its pipeline axis has");
};
template <class Model, class Recipe>
struct mesh_has_the_devices {
  static constexpr std::size_t named = Recipe::mesh::mesh_pipeline;
  static constexpr std::size_t placed = count_devices(placement_v<Model, Recipe>);
  static constexpr bool holds = named == 0 || named == placed;
  using verdict = mesh_is_placed<pipeline_axis<named>, devices_placed<placed>>;
};

}  // namespace detail

}  // namespace mpx
