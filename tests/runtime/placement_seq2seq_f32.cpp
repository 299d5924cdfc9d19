// seq2seq in f32 under every placement.
#include "placement.hpp"

TEST_CASE("seq2seq in f32 ends with the same bytes wherever its layers live", "[runtime][placement]") {
  test::seq2seq_keeps_its_bytes<mpx::f32_only>();
}
