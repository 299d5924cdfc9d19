/// @file
/// What is still to be added to a device's gradients before norm and update may see them.
#pragma once

#include <cstddef>

#include <mpx/backend/concepts.hpp>
#include <mpx/core/layout.hpp>

namespace mpx {

/// As backward leaves them: a part of the sum over the data ranks, and over the stages that share a tied parameter.
struct from_backward {
  static constexpr layout layout_of(layout const& gradient) { return gradient; }
};
/// Summed over the data ranks.
struct summed_over_data {
  static constexpr layout layout_of(layout const& gradient) {
    return over_axis(mesh_axis::data, layouts::all_reduce, gradient);
  }
};
/// Summed over the data ranks, and over the tensor ranks where each of them knows a part: of a whole parameter that meets
/// slices of the rows.
struct summed_over_tensor {
  static constexpr bool is_partial(layout const& gradient) { return gradient.tensor == spread::partial; }
  static constexpr layout layout_of(layout const& gradient) {
    layout const before = summed_over_data::layout_of(gradient);
    return is_partial(before) ? over_axis(mesh_axis::tensor, layouts::all_reduce, before) : before;
  }
};
/// Summed over the data ranks, the tensor ranks and the stages: whole.
struct summed_over_mesh {
  static constexpr layout layout_of(layout const& gradient) {
    return over_axis(mesh_axis::pipeline, layouts::all_reduce, summed_over_tensor::layout_of(gradient));
  }
};

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

}  // namespace mpx
