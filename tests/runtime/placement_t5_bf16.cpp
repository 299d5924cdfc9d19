// t5 in bf16 under every placement.
#include "placement.hpp"

TEST_CASE("t5 in bf16 ends with the same bytes wherever its layers live", "[runtime][placement]") {
  test::t5_keeps_its_bytes<mpx::bf16_mixed>();
}
