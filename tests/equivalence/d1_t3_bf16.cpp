#include "equivalence.hpp"

TEST_CASE("seq2seq on three tensor ranks that divide rows", "[equivalence]") {
  test::meshes<test::wide_seq2seq<24>, mpx::bf16_mixed, 1, 3, mpx::sequence_parallel> const run;
  run.under_every_schedule<2>();
}
