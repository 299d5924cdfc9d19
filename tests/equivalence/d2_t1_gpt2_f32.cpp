#include "equivalence.hpp"

TEST_CASE("gpt2 on two data ranks that divide gradients", "[equivalence]") {
  test::meshes<test::wide_gpt2_untied<24>, mpx::f32_only, 2, 1, mpx::shard_gradients> const run;
  run.on<2, test::dealt>("interleaved");
  run.on<2, test::halved>("zb_h1");
  run.on<3, test::halved_v>("zb_v");
  run.on<4, test::late>("gpipe");
}
