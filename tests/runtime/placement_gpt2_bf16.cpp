// gpt2 in bf16 under every placement.
#include "placement.hpp"

TEST_CASE("gpt2 in bf16 ends with the same bytes wherever its layers live", "[runtime][placement]") {
  test::gpt2_keeps_its_bytes<mpx::bf16_mixed>();
}
