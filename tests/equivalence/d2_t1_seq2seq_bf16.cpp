#include "equivalence.hpp"

TEST_CASE("seq2seq on two data ranks that divide the optimizer", "[equivalence]") {
  test::meshes<test::wide_seq2seq<24>, mpx::bf16_mixed, 2, 1, mpx::shard_optimizer> const run;
  run.under_every_schedule<2>();
  run.on<3, test::late>("gpipe");
  run.on<3, test::eager>("1F1B");
  run.on<3, test::halved_v>("zb_v");
  run.on<4, test::dealt>("interleaved");
  run.on<4, test::halved>("zb_h1");
}
