/// @file
/// A model as a short list of (layer type, count): the only place where types are taken apart.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <type_traits>

#include <mpx/core/diagnostic.hpp>
#include <mpx/model/footprint.hpp>
#include <mpx/model/layer_info.hpp>

namespace mpx {

/// Count layers of type L, one after the other, under one path; those of a repeat are numbered, even when it is one.
template <class L, std::size_t Count, class Path, bool Repeated = false>
struct segment {
  using layer = L;
  using path = Path;
  static constexpr std::size_t count = Count;
  static constexpr bool repeated = Repeated;
};

template <class... S>
struct segments {
  static constexpr std::size_t size = sizeof...(S);
  static constexpr std::size_t layers = (0 + ... + S::count);
};

namespace detail {

template <class T>
concept repeated = requires { T::copies; };
template <class T>
concept labelled = requires { typename T::label; };

template <class... A>
struct joined_segments;
template <>
struct joined_segments<> {
  using type = segments<>;
};
template <class... A>
struct joined_segments<segments<A...>> {
  using type = segments<A...>;
};
template <class... A, class... B, class... Rest>
struct joined_segments<segments<A...>, segments<B...>, Rest...> : joined_segments<segments<A..., B...>, Rest...> {};

template <class L>
struct row_label {
  using type = name<"layer">;
};
template <class L>
  requires requires { typename L::row_label; }
struct row_label<L> {
  using type = typename L::row_label;
};

template <class Path, class L>
struct flattened {
  using type = segments<segment<L, 1, typename joined_name<Path, typename row_label<L>::type>::type>>;
};
template <class Path, class Layers>
struct flattened_all;
template <class Path, class... L>
struct flattened_all<Path, boost::hana::tuple<L...>> : joined_segments<typename flattened<Path, L>::type...> {};

template <class Path, repeated L>
struct flattened<Path, L> {
  using repeated_layer = typename L::repeated;
  using type = segments<
      segment<repeated_layer, L::copies, typename joined_name<Path, typename row_label<repeated_layer>::type>::type, true>>;
};
template <class Path, chain L>
  requires(!labelled<L>)
struct flattened<Path, L> : flattened_all<Path, typename L::layers> {};
template <class Path, chain L>
  requires labelled<L>
struct flattened<Path, L> : flattened_all<typename joined_name<Path, typename L::label>::type, typename L::layers> {};

}  // namespace detail

/// The segments of a model. sequential, section and repeat are taken apart; what remains is placed as one.
template <class Model>
using segments_of = typename detail::flattened<name<"">, Model>::type;

namespace detail {

template <class Message>
struct streams_of;
template <class... S>
struct streams_of<message<S...>> {
  template <class Info, std::size_t N>
  static constexpr std::array<Info, N> as() {
    static_assert(sizeof...(S) <= N, "mpx::layer requires its author to take and give at most one stream, and to name at most four reads and four feeds");
    std::array<Info, N> list{};
    [[maybe_unused]] std::size_t n = 0;
    (add<S>(list, n), ...);
    return list;
  }

 private:
  template <class One, std::size_t N>
  static constexpr void add(std::array<stream_info, N>& list, std::size_t& n) {
    for (std::size_t i = 0; i < n; ++i)
      if (list[i].label == One::label::view()) return;
    list[n++] = {One::label::view(), One::width, One::on, One::over_tensor, One::parts};
  }
  template <class One, std::size_t N>
  static constexpr void add(std::array<feed_info, N>& list, std::size_t& n) {
    for (std::size_t i = 0; i < n; ++i)
      if (list[i].label == One::label::view()) return;
    list[n++] = {One::label::view(), One::on, One::limit, One::per_sequence, One::padded};
  }
};

template <class S>
constexpr layer_info segment_row(extents const& e, element_sizes sizes) {
  using L = typename S::layer;
  using facts = footprint<L>;
  layer_info row;
  row.name.path = S::path::view();
  row.parameter_elements = facts::parameters_on(e.ranks);
  row.constant_elements = facts::constants;
  row.saved_bytes = facts::saved(e, sizes);
  row.deferred_bytes = facts::deferred(e, sizes);
  row.defers_gradient = e.splits_backward && facts::defers_gradient;
  row.forward_scratch = facts::forward_scratch(e, sizes);
  row.backward_scratch = facts::backward_scratch(e, sizes);
  row.forward_flops = facts::flops(e);
  row.forward_sums = facts::forward_sums(e, sizes);
  row.backward_sums = facts::backward_sums(e, sizes);
  row.most_tokens = facts::most_tokens;
  row.keeps_input = facts::keeps_input;
  row.in_place = facts::in_place;
  row.reads_output = facts::reads_output;
  row.gradient_replaces_input = facts::gradient_replaces_input;
  row.takes = streams_of<typename L::takes>::template as<stream_info, 1>()[0];
  row.gives = streams_of<typename L::gives>::template as<stream_info, 1>()[0];
  row.reads = streams_of<typename L::reads>::template as<stream_info, 4>();
  row.feeds = streams_of<typename L::feeds>::template as<feed_info, 4>();
  return row;
}

}  // namespace detail

}  // namespace mpx
