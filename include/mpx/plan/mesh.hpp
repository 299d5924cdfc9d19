/// @file
/// The coordinates of a mesh: which device of which kind stands where.
#pragma once

#include <cstddef>

#include <mpx/core/device.hpp>

namespace mpx {

/// Where a device stands on the mesh. Devices are counted data rank by data rank, within one stage by stage, and within
/// one tensor rank by tensor rank: those that talk most are neighbours.
struct mesh_coordinate {
  std::size_t data = 0;
  std::size_t stage_device = 0;  ///< position on the pipeline axis
  std::size_t tensor = 0;

  friend constexpr bool operator==(mesh_coordinate const&, mesh_coordinate const&) = default;
};

/// Numbers of devices on each axis.
struct mesh_shape {
  std::size_t data = 1;
  std::size_t pipeline = 1;
  std::size_t tensor = 1;

  [[nodiscard]] constexpr std::size_t devices() const { return data * pipeline * tensor; }
  [[nodiscard]] constexpr std::size_t number(mesh_coordinate const& at) const {
    return (at.data * pipeline + at.stage_device) * tensor + at.tensor;
  }
  [[nodiscard]] constexpr mesh_coordinate coordinate(std::size_t number) const {
    return {number / (pipeline * tensor), number / tensor % pipeline, number % tensor};
  }
};

}  // namespace mpx
