/// @file
/// What is still to be added to a device's gradients before norm and update may see them, and what is still to be gathered
/// of its weights before layers may.
#pragma once

#include <cstddef>

#include <mpx/backend/concepts.hpp>
#include <mpx/core/layout.hpp>

namespace mpx {

/// As backward leaves them: a part of the sum over the data ranks, and over the stages that share a tied parameter.
struct from_backward {
  static constexpr layout layout_of(layout const& gradient) { return gradient; }
};
/// Summed over the data ranks, each of which updates all of the parameters.
struct summed_over_data {
  static constexpr layout layout_of(layout const& gradient) {
    return over_axis(mesh_axis::data, layouts::all_reduce, gradient);
  }
  static constexpr layout updated(layout const& parameter) { return parameter; }
};
/// Summed over the data ranks, each of which keeps and updates a slice.
struct scattered_over_data {
  static constexpr layout layout_of(layout const& gradient) {
    return over_axis(mesh_axis::data, [](spread x) { return layouts::reduce_scatter(x, spread::sharded_0); }, gradient);
  }
  static constexpr layout updated(layout const& parameter) {
    return over_axis(mesh_axis::data, [](spread) { return spread::sharded_0; }, parameter);
  }
};
/// Summed over the tensor ranks too, where each of them knows a part: of a whole parameter that meets slices of the rows.
template <class OverData>
struct also_over_tensor {
  static constexpr bool is_partial(layout const& gradient) { return OverData::layout_of(gradient).tensor == spread::partial; }
  static constexpr layout layout_of(layout const& gradient) {
    layout const before = OverData::layout_of(gradient);
    return is_partial(gradient) ? over_axis(mesh_axis::tensor, layouts::all_reduce, before) : before;
  }
  static constexpr layout updated(layout const& parameter) { return OverData::updated(parameter); }
};
using summed_over_tensor = also_over_tensor<summed_over_data>;
using scattered_over_tensor = also_over_tensor<scattered_over_data>;

/// Summed over the stages too: whole.
template <class OverTensor>
struct also_over_stages {
  static constexpr layout layout_of(layout const& gradient) {
    return over_axis(mesh_axis::pipeline, layouts::all_reduce, OverTensor::layout_of(gradient));
  }
  static constexpr layout updated(layout const& parameter) { return OverTensor::updated(parameter); }
};
using summed_over_mesh = also_over_stages<summed_over_tensor>;
using scattered_over_mesh = also_over_stages<scattered_over_tensor>;

/// The gradients of one device in one of these states. Backward gives the first; each reduction takes one state and gives
/// the next, so that none is forgotten and none is done twice.
template <class State>
class device_gradients {
 public:
  using state = State;
  device_gradients(device_gradients&&) = default;  // and no copies: what is reduced is given away
  [[nodiscard]] std::size_t device() const { return device_; }

 private:
  template <class Model, class Recipe, backend Backend>
  friend class replica;
  explicit device_gradients(std::size_t device) : device_(device) {}
  std::size_t device_;
};

/// As layers read them: the same on every data rank.
struct whole_weights {
  static constexpr layout layout_of(layout const& parameter) { return parameter; }
};
/// As the update leaves them where data ranks divide it: each rank has the new values of its slice alone.
struct weights_in_slices {
  static constexpr layout layout_of(layout const& parameter) { return scattered_over_data::updated(parameter); }
};

/// The weights of one device after the update, in one of these states. A step ends with whole ones: slices that are not
/// gathered do not compile.
template <class State>
class updated_weights {
 public:
  using state = State;
  updated_weights(updated_weights&&) = default;
  [[nodiscard]] std::size_t device() const { return device_; }

 private:
  template <class Model, class Recipe, backend Backend>
  friend class replica;
  explicit updated_weights(std::size_t device) : device_(device) {}
  std::size_t device_;
};

}  // namespace mpx
