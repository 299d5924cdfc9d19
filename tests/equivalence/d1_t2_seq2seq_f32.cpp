#include "equivalence.hpp"

TEST_CASE("seq2seq on two tensor ranks", "[equivalence]") {
  test::meshes<test::wide_seq2seq<24>, mpx::f32_only, 1, 2> const run;
  run.on<2, test::halved>("zb_h1");
  run.on<3, test::dealt>("interleaved");
  run.on<4, test::late>("gpipe");
  run.on<4, test::halved_v>("zb_v");
}
