/// @file
/// How many devices share the work, and along which axes.
#pragma once

#include <cstddef>
#include <type_traits>

#include <mpx/core/diagnostic.hpp>

namespace mpx {

template <std::size_t D> struct data {};      ///< D replicas of the model, each with its share of every batch
template <std::size_t P> struct pipeline {};  ///< P runs of layers, one after the other
template <std::size_t T> struct tensor {};    ///< T ranks that share every layer: heads, hidden columns, vocabulary

namespace detail {

template <template <std::size_t> class Axis, class T>
struct axis_size {
  static constexpr std::size_t value = 0;
  static constexpr bool named = false;
};
template <template <std::size_t> class Axis, std::size_t N>
struct axis_size<Axis, Axis<N>> {
  static constexpr std::size_t value = N;
  static constexpr bool named = true;
};

template <class... Axes>
struct mesh_axes {
  template <class T>
  static constexpr bool known = axis_size<data, T>::value + axis_size<pipeline, T>::value + axis_size<tensor, T>::value > 0;
  static_assert((known<Axes> && ...),
                "mpx::mesh requires each argument to be data<D>, pipeline<P> or tensor<T>, with a number above 0");
  static_assert((0 + ... + axis_size<data, Axes>::named) <= 1 && (0 + ... + axis_size<pipeline, Axes>::named) <= 1 &&
                    (0 + ... + axis_size<tensor, Axes>::named) <= 1,
                "mpx::mesh requires its user to name each axis at most once");
};

}  // namespace detail

/// A grid of devices: every device is a coordinate (data, pipeline, tensor). The model and the rest of the recipe stay as
/// they are. An axis that is left out has one device; without the pipeline axis the placement alone decides it.
/// Source  Narayanan et al. 2021, arXiv:2104.04473
template <class... Axes>
struct mesh {
 private:
  template <template <std::size_t> class Axis>
  static constexpr std::size_t size_of = (std::size_t{0} + ... + detail::axis_size<Axis, Axes>::value);

 public:
  static constexpr std::size_t mesh_data = size_of<data> > 0 ? size_of<data> : 1;
  static constexpr std::size_t mesh_pipeline = size_of<pipeline>;  ///< 0: as many as the placement has devices
  static constexpr std::size_t mesh_tensor = size_of<tensor> > 0 ? size_of<tensor> : 1;
  using checked = decltype(verdict_on<detail::mesh_axes<Axes...>>());
};

}  // namespace mpx
