#include "equivalence.hpp"

TEST_CASE("gpt2 on 2 to 4 stages under every schedule", "[equivalence]") {
  test::meshes<test::wide_gpt2<24>, mpx::f32_only, 1, 1> const run;
  run.under_every_schedule<2>();
  run.under_every_schedule<3>();
  run.under_every_schedule<4>();
}
