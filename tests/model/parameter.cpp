// Mirrors include/mpx/model/parameter.hpp: how parameters lie. Their first values are in tests/plan/layer_table.cpp.
#include <mpx/model/parameter.hpp>

#include <mpx_test.hpp>

namespace {

using enum mpx::spread;
using shape = mpx::shape<12, 4>;
using whole = mpx::parameter<"weight", shape, mpx::init::zeros>;
using outputs = mpx::parameter<"weight", shape, mpx::init::zeros, mpx::sharded_outputs>;
using inputs = mpx::parameter<"weight", shape, mpx::init::zeros, mpx::sharded_inputs>;
using three = mpx::parameter<"weight", shape, mpx::init::zeros, mpx::over_tensor<sharded_0, 3>>;
using tied = mpx::tied_parameter<"weight", shape, "embedding.weight", mpx::sharded_outputs>;

}  // namespace

// Data ranks and the stages that share a tied parameter have copies; tensor ranks what the description says.
static_assert(mpx::layout_of<whole> == mpx::layout{invariant, replicated, replicated});
static_assert(mpx::layout_of<outputs> == mpx::layout{sharded_0, replicated, replicated});
static_assert(mpx::layout_of<inputs> == mpx::layout{sharded_1, replicated, replicated});
static_assert(mpx::layout_of<three> == mpx::layout_of<outputs> && mpx::layout_of<tied> == mpx::layout_of<outputs>);
static_assert(whole::over::parts == 1 && outputs::over::parts == 1 && three::over::parts == 3);

TEST_CASE("ranks share the elements of a slice, and all have those of a whole", "[model][parameter]") {
  for (std::size_t const ranks : {1u, 2u, 4u}) {
    CHECK(mpx::elements_on_rank<whole>(ranks) == 48);
    CHECK(mpx::elements_on_rank<outputs>(ranks) == 48 / ranks);
    CHECK(mpx::elements_on_rank<inputs>(ranks) == 48 / ranks);
    CHECK(mpx::elements_on_rank<three>(ranks) == 48 / ranks);
  }
}
