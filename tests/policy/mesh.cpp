// Mirrors include/mpx/policy/mesh.hpp, and what a recipe makes of it. What it refuses is in tests/compile_fail/mesh_*.
#include <mpx/policy/mesh.hpp>

#include <type_traits>

#include <mpx/plan/plan.hpp>

#include <models.hpp>
#include <mpx_test.hpp>

namespace {

using capacity = mpx::microbatch_capacity<mpx::sequences<2>, mpx::tokens<4>>;
template <class... Axes>
using on = mpx::recipe<mpx::mesh<Axes...>, capacity>;

template <class Mesh>
constexpr bool sizes(std::size_t data, std::size_t pipeline, std::size_t tensor) {
  return Mesh::mesh_data == data && Mesh::mesh_pipeline == pipeline && Mesh::mesh_tensor == tensor;
}

}  // namespace

// In any order; an axis that is left out has one device, the pipeline as many as the placement.
static_assert(sizes<mpx::mesh<>>(1, 0, 1));
static_assert(sizes<mpx::mesh<mpx::tensor<2>>>(1, 0, 2));
static_assert(sizes<mpx::mesh<mpx::data<2>, mpx::pipeline<3>, mpx::tensor<4>>>(2, 3, 4));
static_assert(sizes<mpx::mesh<mpx::tensor<4>, mpx::data<2>, mpx::pipeline<3>>>(2, 3, 4));
static_assert(sizes<mpx::mesh<mpx::pipeline<1>>>(1, 1, 1));

// A recipe without a mesh has one of one device; one without a placement balances the pipeline axis.
static_assert(std::is_same_v<mpx::recipe<capacity>::mesh, mpx::mesh<>>);
static_assert(std::is_same_v<on<mpx::tensor<2>>::mesh, mpx::mesh<mpx::tensor<2>>>);
static_assert(std::is_same_v<on<mpx::tensor<2>>::placement, mpx::place_all<>>);
static_assert(std::is_same_v<on<mpx::data<2>, mpx::tensor<2>>::placement, mpx::place_all<>>);
static_assert(std::is_same_v<on<mpx::pipeline<3>, mpx::data<2>>::placement, mpx::place_by_cost<3>>);
static_assert(std::is_same_v<on<mpx::pipeline<1>>::placement, mpx::place_by_cost<1>>);
static_assert(std::is_same_v<mpx::recipe<mpx::place_evenly<3>, mpx::mesh<mpx::pipeline<3>>, capacity>::placement,
                             mpx::place_evenly<3>>);

// The capacity says how many ranks share a layer; a microbatch is that of one data rank.
static_assert(mpx::recipe<capacity>::capacity.ranks == 1 && on<mpx::data<4>>::capacity.ranks == 1);
static_assert(on<mpx::tensor<4>, mpx::data<2>>::capacity.ranks == 4);
static_assert(on<mpx::tensor<4>, mpx::data<2>>::capacity.sequences == 2);
static_assert(on<mpx::tensor<4>>::capacity.tokens == mpx::recipe<capacity>::capacity.tokens);

TEST_CASE("the plan's pipeline axis is the mesh's, or else the placement's", "[policy][mesh]") {
  auto const pipeline = []<class Recipe>(Recipe) { return mpx::plan_v<test::small_gpt2, Recipe>.mesh.pipeline; };
  CHECK(pipeline(on<>{}) == 1);
  CHECK(pipeline(on<mpx::pipeline<3>>{}) == 3);
  CHECK(pipeline(mpx::recipe<mpx::place_evenly<2>, mpx::mesh<mpx::data<2>>, capacity>{}) == 2);
}
