// seq2seq in bf16 on meshes whose tensor ranks divide rows.
#include "mesh.hpp"

TEST_CASE("seq2seq in bf16 with slices of the rows computes on a mesh what it computes on one device", "[mesh][sequence_parallel]") {
  test::divides_rows_and_computes_what_one_device_computes<test::mesh_seq2seq, mpx::bf16_mixed>();
}
