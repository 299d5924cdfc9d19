/// @file
/// Layers composed: one after the other, under a name, many times, around a skip connection.
#pragma once

#include <cstddef>
#include <type_traits>

#include <mpx/model/layer.hpp>

namespace mpx {

/// Position in mpx::sequential, counted from 0.
template <std::size_t Index>
struct at_layer {};
/// What the layer before gives.
template <class Stream>
struct produced {};
/// What this layer takes.
template <class Stream>
struct wanted {};

namespace detail {

template <class Last, class... Layers>
struct chain_gives {
  using type = Last;
};
template <class Last, class First, class... Rest>
struct chain_gives<Last, First, Rest...>
    : chain_gives<std::conditional_t<First::gives::size == 0, Last, typename First::gives>, Rest...> {};

/// Two streams fit when their names differ (then the one looked for stands further up) or when they are the same.
template <class Produced, class Wanted>
inline constexpr bool fits = [] {
  if constexpr (std::is_void_v<Produced> || std::is_void_v<Wanted>) {
    return true;
  } else {
    return !std::is_same_v<typename Produced::label, typename Wanted::label> ||
           (Produced::width == Wanted::width && Produced::on == Wanted::on);
  }
}();

/// The same, of their layouts.
template <class Produced, class Wanted>
inline constexpr bool lies_alike = [] {
  if constexpr (std::is_void_v<Produced> || std::is_void_v<Wanted>) {
    return true;
  } else {
    return !std::is_same_v<typename Produced::label, typename Wanted::label> ||
           (Produced::over_tensor == Wanted::over_tensor && Produced::parts == Wanted::parts);
  }
}();

template <class Where, class Produced, class Wanted>
struct layer_link;
template <std::size_t I, class Produced, class Wanted>
struct layer_link<at_layer<I>, produced<Produced>, wanted<Wanted>> {
  static_assert(fits<Produced, Wanted>,
                "mpx::sequential requires each layer to take the shape that the layer before it produces");
  static_assert(!fits<Produced, Wanted> || lies_alike<Produced, Wanted>,
                "mpx::sequential requires each layer to take the layout that the layer before it produces: a layer with "
                "split_inputs reads slices of columns and gives whole rows");
};

template <std::size_t I, class Before, class... Layers>
struct layer_links {};
template <std::size_t I, class Before, class First, class... Rest>
struct layer_links<I, Before, First, Rest...>
    : layer_link<at_layer<I>, produced<Before>, wanted<only_stream_t<typename First::takes>>>,
      layer_links<I + 1,
                  std::conditional_t<First::gives::size == 0, Before, only_stream_t<typename First::gives>>, Rest...> {
};

template <class... Layers>
struct chain_takes {
  using type = message<>;
};
template <class First, class... Rest>
struct chain_takes<First, Rest...> {
  using type = typename First::takes;
};

/// Stands for an argument that is no layer, and for a model that lacks an option: one error is enough about either.
struct no_layer : layer_defaults {
  using takes = message<>;
  using gives = message<>;
};
template <class T>
using layer_or_none = std::conditional_t<described<T> && complete<T>, T, no_layer>;

template <class... Layers>
struct layers_only {
  static_assert(sizeof...(Layers) > 0, "mpx::sequential requires its user to name at least one layer");
  static_assert((layer<Layers> && ...),
                "mpx::sequential requires each argument to be a layer: to say what it takes and gives (mpx::message) and "
                "its parameters (boost::hana::tuple)");
  static_assert(((complete<Layers> || !layer<Layers>) && ...),
                "mpx::layer requires its author to inherit from mpx::layer_defaults, or to name all that it names");
};

/// Does a layer, or the first one that it is composed of, keep its input?
template <class L>
inline constexpr bool keeps_input = layer_or_none<L>::keeps_input;
template <class Tuple>
inline constexpr bool first_keeps_input = false;
template <class First, class... Rest>
inline constexpr bool first_keeps_input<boost::hana::tuple<First, Rest...>> = keeps_input<First>;
template <chain L>
inline constexpr bool keeps_input<L> = first_keeps_input<typename L::layers>;
template <block L>
inline constexpr bool keeps_input<L> = keeps_input<typename L::body>;

template <std::size_t N, class Takes, class Gives>
struct repeatable {
  static_assert(N > 0, "mpx::repeat requires its user to ask for at least one layer");
  static_assert(std::is_same_v<Takes, Gives>, "mpx::repeat requires its layer to give the shape that it takes");
};

template <class Takes, class Gives, bool KeepsInput>
struct residual_branch {
  static_assert(std::is_same_v<Takes, Gives>, "mpx::residual requires its layers to give the shape that they take");
  static_assert(KeepsInput,
                "mpx::residual requires its first layer to keep its input (dropout and positions work in place)");
};

}  // namespace detail

/// Layers applied in order; itself a layer.
/// Shapes  takes what the first layer takes, gives what the last one gives
/// Errors  compile time: names the first layer that rejects its input
template <class... Layers>
struct sequential {
  using layers = boost::hana::tuple<detail::layer_or_none<Layers>...>;
  using takes = typename detail::chain_takes<detail::layer_or_none<Layers>...>::type;
  using gives = typename detail::chain_gives<message<>, detail::layer_or_none<Layers>...>::type;
  using reads = typename detail::merged_message<typename detail::layer_or_none<Layers>::reads...>::type;
  using feeds = typename detail::merged_message<typename detail::layer_or_none<Layers>::feeds...>::type;
  using parameters = boost::hana::tuple<>;  // its layers' own
  using checked = decltype(verdict_on<detail::layers_only<Layers...>>());
  using linked = decltype(verdict_on<detail::layer_links<0, void, detail::layer_or_none<Layers>...>>());
};

/// Layers under a name: "encoder" makes "encoder.layers.0" of the block "layers.0".
template <fixed_string Name, class... Layers>
struct section : sequential<Layers...> {
  using label = name<Name>;
};

/// N layers of one type, each with parameters of its own. One type, one loop: depth costs no compile time.
template <std::size_t N, class Layer>
struct repeat {
  static constexpr std::size_t copies = N;
  using repeated = detail::layer_or_none<Layer>;
  using takes = typename repeated::takes;
  using gives = typename repeated::gives;
  using reads = typename repeated::reads;
  using feeds = typename repeated::feeds;
  using parameters = boost::hana::tuple<>;
  using formed = decltype(verdict_on<detail::layers_only<Layer>>());
  using checked = decltype(verdict_on<detail::repeatable<N, takes, gives>>());
};

/// y = x + f(x), with f the layers in order.
/// Shapes  f must give what it takes
/// Source  He et al. 2015, arXiv:1512.03385
template <class... Layers>
struct residual {
  using branch = sequential<Layers...>;
  using takes = typename branch::takes;
  using gives = takes;
  using reads = typename branch::reads;
  using feeds = typename branch::feeds;
  using parameters = boost::hana::tuple<>;
  using checked =
      decltype(verdict_on<detail::residual_branch<takes, typename branch::gives, detail::keeps_input<branch>>>());
};

/// The layer's output under another name, which lives until its last reader.
template <fixed_string Name, class Layer>
struct gives_as {
  using body = Layer;
  using row_label = typename Layer::row_label;
  using takes = typename Layer::takes;
  using given = only_stream_t<typename Layer::gives>;
  using gives = message<stream<Name, given::width, given::on, given::over_tensor, given::parts>>;
  using reads = typename Layer::reads;
  using feeds = typename Layer::feeds;
  using parameters = boost::hana::tuple<>;
};

}  // namespace mpx
