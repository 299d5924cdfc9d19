/// @file
/// The parameters of a layer as numbers: where each stands, what it is called, how it begins.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include <mpx/model/footprint.hpp>

namespace mpx {

/// One parameter of a layer type, as one of a number of tensor ranks holds it.
struct parameter_info {
  std::string_view label;  ///< within its layer: "attention.qkv.weight"
  std::size_t offset = 0;  ///< elements from the layer's first parameter
  std::size_t count = 0;   ///< elements on one rank
  std::size_t rank = 0;
  std::array<std::size_t, 4> shape{};  ///< of the whole mesh
  spread over_tensor = spread::invariant;
  std::size_t parts = 1;  ///< equal parts of the sharded dimension, each divided among the ranks
  float mean = 0;
  float deviation = 0;
  bool uniform = false;
  std::size_t first = 0;  ///< so many elements begin with `first_deviation` instead
  float first_deviation = 0;
  std::string_view tied_to;  ///< full name of the parameter whose values it shares; empty: its own

  /// Elements of the whole mesh: what a checkpoint holds under this name.
  [[nodiscard]] constexpr std::size_t size() const {
    std::size_t all = 1;
    for (std::size_t d = 0; d < rank; ++d) all *= shape[d];
    return all;
  }
  /// Where element i of tensor rank `r` stands in the whole tensor.
  [[nodiscard]] constexpr std::size_t whole_index(std::size_t i, std::size_t r) const {
    if (!sharded(over_tensor) || count == size()) return i;
    std::size_t const dim = over_tensor == spread::sharded_0 ? 0 : 1;
    std::size_t inner = 1;  // elements of one index of the sharded dimension
    for (std::size_t d = dim + 1; d < rank; ++d) inner *= shape[d];
    std::size_t const ranks = size() / count;
    std::size_t const part = shape[dim] / parts, share = part / ranks;
    std::size_t const column = i % inner, index = i / inner % (parts * share), outer = i / inner / (parts * share);
    std::size_t const whole = index / share * part + r * share + index % share;
    return (outer * shape[dim] + whole) * inner + column;
  }
  /// Of the element that stands there in the whole tensor.
  [[nodiscard]] constexpr float deviation_of(std::size_t element) const {
    return element < first ? first_deviation : deviation;
  }
};

namespace detail {

template <std::size_t A, std::size_t B>
constexpr std::array<parameter_info, A + B> joined(std::array<parameter_info, A> const& a,
                                                   std::array<parameter_info, B> const& b, std::size_t shift) {
  std::array<parameter_info, A + B> all{};
  for (std::size_t i = 0; i < A; ++i) all[i] = a[i];
  for (std::size_t i = 0; i < B; ++i) {
    all[A + i] = b[i];
    all[A + i].offset += shift;
  }
  return all;
}

constexpr float square_root(float value) {
  if (value <= 0) return 0;
  double guess = value > 1 ? value : 1;
  for (int i = 0; i < 64; ++i) guess = 0.5 * (guess + value / guess);
  return static_cast<float>(guess);
}

template <class Path, class P>
constexpr parameter_info one_parameter(std::size_t offset, std::size_t ranks) {
  using shape = typename P::shape;
  parameter_info info;
  info.label = joined_name<Path, typename P::label>::type::view();
  info.offset = offset;
  info.count = elements_on_rank<P>(ranks);
  info.over_tensor = P::over::spread_over_tensor;
  info.parts = P::over::parts;
  info.rank = shape::rank;
  for (std::size_t i = 0; i < shape::rank; ++i) info.shape[i] = shape::extents[i];
  std::size_t const out = shape::extents[0];
  std::size_t const in = shape::size / out;
  info.mean = P::init::mean;
  info.deviation = square_root(P::init::variance(in, out));
  info.uniform = P::init::uniform;
  if constexpr (requires { P::init::parts; }) {
    info.first = shape::size / P::init::parts;
    info.first_deviation = square_root(P::init::variance(in, out) / static_cast<float>(P::init::divisor));
  }
  info.tied_to = P::tied_to::view();
  return info;
}

template <class Path, class L, std::size_t Ranks>
struct parameters_at {
  static constexpr auto list = []<class... P>(boost::hana::tuple<P...>*) {
    std::array<parameter_info, sizeof...(P)> all{};
    [[maybe_unused]] std::size_t n = 0, offset = 0;
    ((all[n++] = one_parameter<Path, P>(offset, Ranks), offset += padded_elements(elements_on_rank<P>(Ranks))), ...);
    return all;
  }(static_cast<typename L::parameters*>(nullptr));
};

template <class Path, class Tuple, std::size_t Ranks>
struct parameters_of_all;
template <class Path, std::size_t Ranks>
struct parameters_of_all<Path, boost::hana::tuple<>, Ranks> {
  static constexpr std::array<parameter_info, 0> list{};
};
template <class Path, class First, class... Rest, std::size_t Ranks>
struct parameters_of_all<Path, boost::hana::tuple<First, Rest...>, Ranks> {
  static constexpr auto list =
      joined(parameters_at<Path, First, Ranks>::list, parameters_of_all<Path, boost::hana::tuple<Rest...>, Ranks>::list,
             footprint<First>::parameters_on(Ranks));
};

template <class Path, block L, std::size_t Ranks>
struct parameters_at<Path, L, Ranks> : parameters_at<Path, typename L::body, Ranks> {};
template <class Path, residual_layer L, std::size_t Ranks>
struct parameters_at<Path, L, Ranks> : parameters_at<Path, typename L::branch, Ranks> {};
template <class Path, chain L, std::size_t Ranks>
  requires(!requires { typename L::label; })
struct parameters_at<Path, L, Ranks> : parameters_of_all<Path, typename L::layers, Ranks> {};
template <class Path, chain L, std::size_t Ranks>
  requires requires { typename L::label; }
struct parameters_at<Path, L, Ranks>
    : parameters_of_all<typename joined_name<Path, typename L::label>::type, typename L::layers, Ranks> {};

}  // namespace detail

/// The parameters of one layer type, in memory order, as each of so many tensor ranks holds them.
template <class L, std::size_t Ranks = 1>
inline constexpr auto parameters_of = detail::parameters_at<name<"">, L, Ranks>::list;

}  // namespace mpx
