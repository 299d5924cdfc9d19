// t5 in f32 on every kind of mesh.
#include "mesh.hpp"

TEST_CASE("t5 in f32 computes on a mesh what it computes on one device", "[mesh]") {
  test::computes_what_one_device_computes<test::mesh_t5, mpx::f32_only>();
}
