#include "equivalence.hpp"

TEST_CASE("gpt2 on two tensor ranks that divide rows", "[equivalence]") {
  test::meshes<test::wide_gpt2_untied<24>, mpx::bf16_mixed, 1, 2, mpx::sequence_parallel> const run;
  run.under_every_schedule<2>();
  run.on<3, test::halved>("zb_h1");
  run.on<3, test::halved_v>("zb_v");
  run.on<4, test::eager>("1F1B");
  run.on<4, test::dealt>("interleaved");
}
