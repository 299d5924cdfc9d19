#include "equivalence.hpp"

TEST_CASE("gpt2 on 5 to 8 stages", "[equivalence]") {
  test::meshes<test::wide_gpt2<24>, mpx::f32_only, 1, 1> const run;
  run.on<5, test::eager>("1F1B");
  run.on<5, test::halved>("zb_h1");
  run.on<6, test::late>("gpipe");
  run.on<6, test::halved>("zb_h1");
  run.on<7, test::eager>("1F1B");
  run.on<8, test::late>("gpipe");
  run.on<8, test::halved>("zb_h1");
}
