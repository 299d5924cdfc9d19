// Mirrors include/mpx/runtime/gradients.hpp. That none is reduced twice or not at all: tests/compile_fail/optimizer_*.
#include <mpx/runtime/gradients.hpp>

#include <concepts>
#include <type_traits>

#include <mpx_test.hpp>

namespace {

using enum mpx::spread;

template <class State, mpx::spread OverTensor>
constexpr mpx::layout reduced = State::layout_of(mpx::gradient_layout(mpx::parameter_layout(OverTensor)));

/// Has a gradient been reduced as far as this, over tensor ranks, data ranks and stages?
template <class State, mpx::spread OverTensor>
constexpr bool reduced_to(mpx::spread tensor, mpx::spread data, mpx::spread pipeline) {
  return reduced<State, OverTensor> == mpx::layout{tensor, data, pipeline};
}

}  // namespace

// Backward leaves a part over data ranks, and over the stages that share a tied table; each state sums one axis.
static_assert(reduced_to<mpx::from_backward, invariant>(invariant, partial, partial));
static_assert(reduced_to<mpx::summed_over_data, invariant>(invariant, invariant, partial));
static_assert(reduced_to<mpx::summed_over_mesh, invariant>(invariant, invariant, invariant));
// A slice stays one: tensor ranks never sum it.
static_assert(reduced_to<mpx::from_backward, sharded_0>(sharded_0, partial, partial));
static_assert(reduced_to<mpx::summed_over_data, sharded_1>(sharded_1, invariant, partial));
static_assert(reduced_to<mpx::summed_over_mesh, sharded_0>(sharded_0, invariant, invariant));
static_assert(reduced_to<mpx::summed_over_mesh, sharded_1>(sharded_1, invariant, invariant));

// A whole parameter that met slices of the rows: each tensor rank knows a part, which is summed behind data ranks.
static_assert(reduced_to<mpx::summed_over_data, replicated>(partial, invariant, partial));
static_assert(reduced_to<mpx::summed_over_tensor, replicated>(invariant, invariant, partial));
static_assert(reduced_to<mpx::summed_over_tensor, invariant>(invariant, invariant, partial));
static_assert(reduced_to<mpx::summed_over_tensor, sharded_0>(sharded_0, invariant, partial));
static_assert(reduced_to<mpx::summed_over_mesh, replicated>(invariant, invariant, invariant));

// Nobody but a replica makes one, and one state does not become another by itself.
static_assert(!std::constructible_from<mpx::device_gradients<mpx::summed_over_mesh>, std::size_t>);
static_assert(!std::default_initializable<mpx::device_gradients<mpx::from_backward>>);
static_assert(!std::convertible_to<mpx::device_gradients<mpx::from_backward>,
                                   mpx::device_gradients<mpx::summed_over_data>>);

TEST_CASE("norm and update take a gradient that is summed over the mesh, and no other", "[runtime][gradients]") {
  auto const taken = []<class State, mpx::spread Over>() {
    return mpx::over_mesh(mpx::layouts::update, mpx::parameter_layout(Over), reduced<State, Over>).allowed() &&
           mpx::over_mesh(mpx::layouts::squares, reduced<State, Over>).allowed();
  };
  CHECK(taken.operator()<mpx::summed_over_mesh, invariant>());
  CHECK(taken.operator()<mpx::summed_over_mesh, sharded_0>());
  CHECK(taken.operator()<mpx::summed_over_mesh, sharded_1>());
  CHECK(taken.operator()<mpx::summed_over_mesh, replicated>());
  CHECK_FALSE(taken.operator()<mpx::summed_over_data, invariant>());
  CHECK_FALSE(taken.operator()<mpx::summed_over_data, replicated>());
  CHECK_FALSE(taken.operator()<mpx::from_backward, sharded_0>());
}
