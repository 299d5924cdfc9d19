// Mirrors include/mpx/plan/mesh.hpp.
#include <mpx/plan/mesh.hpp>

#include <mpx_test.hpp>

namespace {

constexpr mpx::mesh_shape grid{.data = 2, .pipeline = 3, .tensor = 4};

}  // namespace

static_assert(mpx::mesh_shape{}.devices() == 1 && mpx::mesh_shape{}.number({}) == 0);
static_assert(grid.devices() == 24);

// The tensor ranks of a stage are neighbours; then come the next stage's, then the next data rank's.
static_assert(grid.number({0, 0, 3}) == 3 && grid.number({0, 1, 0}) == 4 && grid.number({1, 0, 0}) == 12);
static_assert(grid.number({1, 2, 3}) == 23);
static_assert(grid.coordinate(17) == mpx::mesh_coordinate{.data = 1, .stage_device = 1, .tensor = 1});

TEST_CASE("numbers and coordinates of devices are each other's inverse", "[plan][mesh]") {
  for (std::size_t data = 1; data <= 3; ++data)
    for (std::size_t pipeline = 1; pipeline <= 4; ++pipeline)
      for (std::size_t tensor = 1; tensor <= 4; ++tensor) {
        mpx::mesh_shape const mesh{data, pipeline, tensor};
        for (std::size_t n = 0; n < mesh.devices(); ++n) {
          auto const at = mesh.coordinate(n);
          CHECK((at.data < data && at.stage_device < pipeline && at.tensor < tensor));
          CHECK(mesh.number(at) == n);
        }
      }
}
