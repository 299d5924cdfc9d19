#include "equivalence.hpp"

TEST_CASE("gpt2 on four data ranks whose sums do not depend on their number", "[equivalence]") {
  test::meshes<test::wide_gpt2_untied<24>, mpx::bf16_mixed, 4, 1, mpx::canonical_sum> const run;
  run.under_every_schedule<2>();
}
