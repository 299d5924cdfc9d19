// Mirrors include/mpx/policy/deal.hpp.
#include <mpx/policy/deal.hpp>

#include <array>
#include <type_traits>

#include <mpx/policy/recipe.hpp>
#include <mpx_test.hpp>

namespace {

using two_each = mpx::interleaved<mpx::microbatches<4>, mpx::chunks<2>>;
using capacity = mpx::microbatch_capacity<mpx::sequences<2>, mpx::tokens<8>>;
template <class... Policies>
using placement = typename mpx::recipe<capacity, Policies...>::placement;

template <class Placement, std::size_t N>
std::array<int, N> devices_of() {
  std::array<mpx::layer_info, N> layers{};
  for (auto& layer : layers) layer.forward_flops = 1;
  auto const where = Placement::assign(layers);
  std::array<int, N> out{};
  for (std::size_t i = 0; i < N; ++i) out[i] = where[i].placed() ? where[i].ordinal : -1;
  return out;
}

}  // namespace

// Cuts that know nothing of chunks are left alone without them, and those that name devices with them.
static_assert(std::is_same_v<placement<mpx::place_evenly<2>>, mpx::place_evenly<2>>);
static_assert(std::is_same_v<placement<mpx::place_all<>, two_each>, mpx::place_all<>>);
static_assert(std::is_same_v<placement<mpx::mesh<mpx::pipeline<2>>, two_each>, mpx::deal<mpx::place_by_cost<4>, 2, two_each>>);
static_assert(mpx::placement_policy<placement<mpx::place_evenly<2>, two_each>>);

TEST_CASE("runs are dealt to the devices like cards", "[policy][deal]") {
  using evenly = placement<mpx::place_evenly<2>, two_each>;
  CHECK(devices_of<evenly, 8>() == std::array<int, 8>{0, 0, 1, 1, 0, 0, 1, 1});
  CHECK(evenly::devices == 2);
  CHECK(devices_of<placement<mpx::place_by_cost<2>, two_each>, 4>() == std::array<int, 4>{0, 1, 0, 1});
}

TEST_CASE("with fewer layers than runs no layer has a device", "[policy][deal]") {
  CHECK(devices_of<placement<mpx::place_by_cost<2>, two_each>, 3>() == std::array<int, 3>{-1, -1, -1});
}
