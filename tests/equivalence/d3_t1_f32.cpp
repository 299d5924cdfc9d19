#include "equivalence.hpp"

TEST_CASE("gpt2 on three data ranks that divide gradients", "[equivalence]") {
  test::meshes<test::wide_gpt2<24>, mpx::f32_only, 3, 1, mpx::shard_gradients> const run;
  run.under_every_schedule<2>();
}
