// Mirrors include/mpx/core/shape.hpp.
#include <mpx/core/shape.hpp>

#include <mpx_test.hpp>

using table = mpx::shape<11, 32>;
static_assert(table::rank == 2 && table::size == 352);
static_assert(mpx::shape<7>::rank == 1 && mpx::shape<7>::size == 7);

TEST_CASE("a shape's extents stand outermost first", "[core][shape]") {
  CHECK(table::extents[0] == 11);
  CHECK(table::extents[1] == 32);
}
