// t5 in f32 under every placement.
#include "placement.hpp"

TEST_CASE("t5 in f32 ends with the same bytes wherever its layers live", "[runtime][placement]") {
  test::t5_keeps_its_bytes<mpx::f32_only>();
}
