#include "equivalence.hpp"

TEST_CASE("gpt2 on four tensor ranks that divide rows", "[equivalence]") {
  test::meshes<test::wide_gpt2<24>, mpx::f32_only, 1, 4, mpx::sequence_parallel> const run;
  run.under_every_schedule<2>();
}
