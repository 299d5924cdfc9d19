#include "equivalence.hpp"

TEST_CASE("gpt2 on two data and two tensor ranks that divide rows and the optimizer", "[equivalence]") {
  test::meshes<test::wide_gpt2<24>, mpx::bf16_mixed, 2, 2, mpx::sequence_parallel, mpx::shard_optimizer> const run;
  run.under_every_schedule<2>();
}
