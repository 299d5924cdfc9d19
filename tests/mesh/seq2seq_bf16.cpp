// seq2seq in bf16 on every kind of mesh.
#include "mesh.hpp"

TEST_CASE("seq2seq in bf16 computes on a mesh what it computes on one device", "[mesh]") {
  test::computes_what_one_device_computes<test::mesh_seq2seq, mpx::bf16_mixed>();
}
