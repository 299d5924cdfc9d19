#include "equivalence.hpp"

TEST_CASE("seq2seq on two data and two tensor ranks that divide rows and gradients", "[equivalence]") {
  test::meshes<test::wide_seq2seq<24>, mpx::f32_only, 2, 2, mpx::sequence_parallel, mpx::shard_gradients> const run;
  run.on<2, test::dealt>("interleaved");
  run.on<2, test::halved_v>("zb_v");
}
