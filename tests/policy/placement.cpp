// Mirrors include/mpx/policy/placement.hpp.
#include <mpx/policy/placement.hpp>

#include <algorithm>
#include <array>
#include <vector>

#include <mpx_test.hpp>

namespace {

constexpr std::array<mpx::layer_info, 4> layers = [] {
  std::array<mpx::layer_info, 4> rows{};
  rows[0].name = {"encoder.embedding", -1};
  rows[1].name = {"encoder.layers", 0};
  rows[2].name = {"encoder.layers", 1};
  rows[3].name = {"decoder.loss", -1};
  return rows;
}();
constexpr mpx::device host0 = mpx::host<0>{}, host1 = mpx::host<1>{}, host2 = mpx::host<2>{}, gpu = mpx::cuda<0>{}, nowhere{};

using places = std::array<mpx::device, 4>;

struct gives_ordinals {
  template <std::size_t N>
  static constexpr std::array<int, N> assign(std::array<mpx::layer_info, N> const&) {
    return {};
  }
};

}  // namespace

static_assert(mpx::placement_policy<mpx::place_all<>>);
static_assert(mpx::placement_policy<mpx::place_evenly<3>>);
static_assert(mpx::placement_policy<mpx::place_at<mpx::at<"encoder", mpx::host<0>>>>);
static_assert(!mpx::placement_policy<gives_ordinals>);
static_assert(!mpx::placement_policy<int>);

static_assert(mpx::place_all<>::assign(layers) == places{host0, host0, host0, host0});
static_assert(mpx::place_all<mpx::cuda<0>>::assign(layers) == places{gpu, gpu, gpu, gpu});
static_assert(mpx::place_evenly<1>::assign(layers) == mpx::place_all<>::assign(layers));
static_assert(mpx::place_evenly<2>::assign(layers) == places{host0, host0, host1, host1});
static_assert(mpx::place_evenly<3>::assign(layers) == places{host0, host0, host1, host2});

TEST_CASE("place_at finds layers by their name, or by that of what holds them", "[policy][placement]") {
  using by_name = mpx::place_at<mpx::at<"encoder.embedding", mpx::host<0>>, mpx::at<"encoder.layers", mpx::host<1>>,
                                mpx::at<"decoder", mpx::cuda<0>>>;
  CHECK(by_name::assign(layers) == places{host0, host1, host1, gpu});
  using one_by_one = mpx::place_at<mpx::at<"encoder.layers.0", mpx::host<0>>, mpx::at<"encoder.layers.1", mpx::host<1>>>;
  CHECK(one_by_one::assign(layers) == places{nowhere, host0, host1, nowhere});
}

TEST_CASE("place_at does not take a part of a word for a name", "[policy][placement]") {
  using part = mpx::place_at<mpx::at<"enc", mpx::host<0>>, mpx::at<"encoder.layer", mpx::host<0>>>;
  CHECK(part::assign(layers) == places{});
}

TEST_CASE("place_evenly uses every device, and gives none two layers more than another", "[policy][placement]") {
  auto const counts = [](auto const& where, int devices) {
    std::vector<int> count(static_cast<std::size_t>(devices));
    for (auto d : where) ++count[static_cast<std::size_t>(d.ordinal)];
    return count;
  };
  std::array<mpx::layer_info, 11> const eleven{};
  auto const four = counts(mpx::place_evenly<4>::assign(eleven), 4);
  CHECK(*std::min_element(four.begin(), four.end()) == 2);
  CHECK(*std::max_element(four.begin(), four.end()) == 3);
}
