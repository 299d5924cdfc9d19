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

// Where data ranks divide the update, each keeps a slice of the sum.
static_assert(reduced_to<mpx::scattered_over_data, invariant>(invariant, sharded_0, partial));
static_assert(reduced_to<mpx::scattered_over_mesh, invariant>(invariant, sharded_0, invariant));
static_assert(reduced_to<mpx::scattered_over_mesh, sharded_1>(sharded_1, sharded_0, invariant));
// Weights come out of an update as they went in: all of them, or this rank's slice, which is then gathered.
constexpr mpx::layout weight = mpx::parameter_layout(sharded_1);
static_assert(mpx::summed_over_mesh::updated(weight) == mpx::whole_weights::layout_of(weight));
static_assert(mpx::scattered_over_mesh::updated(weight) == mpx::weights_in_slices::layout_of(weight));
static_assert(mpx::over_axis(mpx::mesh_axis::data, mpx::layouts::all_gather, mpx::weights_in_slices::layout_of(weight)) ==
              mpx::whole_weights::layout_of(weight));
static_assert(!std::convertible_to<mpx::updated_weights<mpx::weights_in_slices>, mpx::updated_weights<mpx::whole_weights>>);

// Nobody but a replica makes one, and one state does not become another by itself.
static_assert(!std::constructible_from<mpx::device_gradients<mpx::summed_over_mesh>, std::size_t>);
static_assert(!std::default_initializable<mpx::device_gradients<mpx::from_backward>>);
static_assert(!std::convertible_to<mpx::device_gradients<mpx::from_backward>,
                                   mpx::device_gradients<mpx::summed_over_data>>);

TEST_CASE("norm and update take a gradient that is summed over the mesh, and no other", "[runtime][gradients]") {
  auto const taken = []<class State, mpx::spread Over>() {
    return mpx::over_mesh(mpx::layouts::update, State::updated(mpx::parameter_layout(Over)), reduced<State, Over>).allowed() &&
           mpx::over_mesh(mpx::layouts::squares, reduced<State, Over>).allowed();
  };
  CHECK(taken.operator()<mpx::summed_over_mesh, invariant>());
  CHECK(taken.operator()<mpx::summed_over_mesh, sharded_0>());
  CHECK(taken.operator()<mpx::summed_over_mesh, sharded_1>());
  CHECK(taken.operator()<mpx::summed_over_mesh, replicated>());
  CHECK(taken.operator()<mpx::scattered_over_mesh, invariant>());
  CHECK(taken.operator()<mpx::scattered_over_mesh, sharded_1>());
  CHECK_FALSE(taken.operator()<mpx::summed_over_data, invariant>());
  CHECK_FALSE(taken.operator()<mpx::scattered_over_data, invariant>());
  // A slice of a gradient does not update a whole weight, nor a whole gradient a slice.
  auto const mixed = [](mpx::layout const& of, mpx::layout const& by) { return mpx::over_mesh(mpx::layouts::update, of, by).allowed(); };
  constexpr mpx::layout whole = mpx::parameter_layout(invariant);
  CHECK_FALSE(mixed(whole, reduced<mpx::scattered_over_mesh, invariant>));
  CHECK_FALSE(mixed(mpx::scattered_over_mesh::updated(whole), reduced<mpx::summed_over_mesh, invariant>));
  CHECK_FALSE(taken.operator()<mpx::summed_over_data, replicated>());
}
