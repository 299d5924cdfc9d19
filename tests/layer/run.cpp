// Mirrors include/mpx/layer/run.hpp: what is asked of a layer before it runs. Refusals: tests/compile_fail/layer_*.
#include <mpx/layer/run.hpp>

#include <mpx/layer/layers.hpp>
#include <mpx/model/attention.hpp>
#include <mpx/model/cross_entropy.hpp>
#include <mpx/model/linear.hpp>

#include <mpx_test.hpp>

namespace {

template <class Split>
using dense = mpx::linear<8, 12, mpx::axis::target, mpx::init::zeros, mpx::biased, Split>;

/// A layer of a user's own, without a table.
struct own : mpx::layer_defaults {
  using takes = mpx::message<mpx::stream<"x", 8>>;
  using gives = takes;
  using parameters = boost::hana::tuple<mpx::parameter<"weight", mpx::shape<8>, mpx::init::ones>>;
};

}  // namespace

// A layer of plain pointers may stand where all that it takes, gives and trains is whole on each rank.
static_assert(mpx::detail::whole_on_each_rank<own> && mpx::detail::whole_on_each_rank<dense<mpx::whole>>);
static_assert(mpx::detail::whole_on_each_rank<mpx::cross_entropy<16, mpx::spread::invariant>>);
static_assert(!mpx::detail::whole_on_each_rank<mpx::cross_entropy<16>>);           // takes slices
static_assert(!mpx::detail::whole_on_each_rank<dense<mpx::split_outputs<>>>);      // gives them
static_assert(!mpx::detail::whole_on_each_rank<mpx::self_attention<8, 4, true>>);  // trains them

TEST_CASE("a layer of mpx runs over views, a user's own over pointers, a composition by its parts", "[layer][run]") {
  CHECK(mpx::detail::runs_over_views<dense<mpx::split_inputs>>);
  CHECK_FALSE(mpx::detail::runs_over_views<own>);
  CHECK_FALSE(mpx::detail::whole_of_parts<own>);
  CHECK(mpx::detail::whole_of_parts<mpx::sequential<own, own>>);
  CHECK(mpx::detail::whole_of_parts<mpx::residual<dense<mpx::whole>, mpx::linear<12, 8>>>);
}
