// Parameters with one owner and several copies, on one device or on many.
#include "placement.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "laws/layer.hpp"

namespace {

template <mpx::fixed_string Owner>
using tied = mpx::language_head<13, 13, mpx::tied_parameter<"weight", mpx::shape<13, 13>, Owner>, false, mpx::whole>;
using first = tied<"linear.0.weight">;
using second = tied<"linear.1.weight">;
// The weight of linear.0 is also that of head.0 and head.2, linear.1's also that of head.1 and head.3: on two devices or
// more both ties cross from one to the other.
struct model : mpx::sequential<mpx::token_embedding<13, 13, "inputs">, mpx::linear<13, 13>, mpx::linear<13, 13>, first,
                               mpx::layer_norm<13>, second, first, second, mpx::cross_entropy<13, mpx::spread::invariant>> {
  static constexpr std::size_t width = 13;
};
using run = test::still_recipe<test::f64_only, mpx::place_evenly<4>, 2>;

constexpr auto& plan = mpx::plan_v<model, run>;
static_assert(plan.ties.size() == 4 && plan.parameters() == 3 * 13 * 13 + 4 * 13);
static_assert(plan.ties[0].with(plan.ties[2]) && plan.ties[1].with(plan.ties[3]) && !plan.ties[0].with(plan.ties[1]));
static_assert(plan.placement[1] != plan.placement[6] && plan.placement[3] != plan.placement[6]);

constexpr std::array tables{"linear.0.weight", "head.0.weight", "head.2.weight"};
constexpr std::array squares{"linear.1.weight", "head.1.weight", "head.3.weight"};

template <class Placement>
std::vector<float> trained() {
  return test::after_20_steps<model, mpx::f32_only, Placement, test::gpipe_4>();
}

}  // namespace

TEST_CASE("the gradient of a parameter with three holders is the central difference", "[runtime][ties]") {
  test::gradients_match<model>(test::tiny_batch());
  test::gradients_match<model, mpx::place_evenly<4>, 2>(test::tiny_batch());
}

TEST_CASE("all holders have the owner's values and gradient, and the norm counts them once", "[runtime][ties]") {
  mpx::trainer<model, run> trainer{{.lr = {.peak = 0.1f}, .dropout = 0}};
  auto const report = trainer.step(test::tiny_batch());
  double squares_of_owners = 0;
  trainer.each_parameter([&](std::string const& name, auto const& p) {
    if (!p.info->tied_to.empty()) return;
    for (double const g : trainer.gradient(name)) squares_of_owners += g * g;
  });
  CHECK(report.gradient_norm == Approx(std::sqrt(squares_of_owners)));
  for (auto const& names : {tables, squares})
    for (auto const* name : names) {
      auto const mine = trainer.parameter(name), owners = trainer.parameter(names[0]);
      auto const gradient = trainer.gradient(name), of_owner = trainer.gradient(names[0]);
      INFO(name);
      CHECK(std::equal(mine.begin(), mine.end(), owners.begin()));
      CHECK(std::equal(gradient.begin(), gradient.end(), of_owner.begin()));
      CHECK(std::any_of(gradient.begin(), gradient.end(), [](double g) { return g != 0; }));
    }
}

TEST_CASE("whichever holder is given values, all of them follow", "[runtime][ties]") {
  mpx::trainer<model, run> trainer;
  for (auto const* name : tables) {
    std::vector<double> const values(13 * 13, name[0] == 'l' ? 1.0 : name[5] - '0' + 2.0);
    trainer.set_parameter(name, values);
    for (auto const* holder : tables) {
      auto const now = trainer.parameter(holder);
      CHECK(std::equal(now.begin(), now.end(), values.begin()));
    }
  }
}

TEST_CASE("ties that cross end with the same bytes wherever their holders live", "[runtime][ties]") {
  using there_and_back =
      mpx::place_at<mpx::at<"embedding", mpx::host<1>>, mpx::at<"linear", mpx::host<0>>,
                    mpx::at<"head.0", mpx::host<0>>, mpx::at<"norm", mpx::host<1>>, mpx::at<"head.1", mpx::host<1>>,
                    mpx::at<"head.2", mpx::host<2>>, mpx::at<"head.3", mpx::host<0>>, mpx::at<"loss", mpx::host<0>>>;
  auto const one = trained<mpx::place_all<>>();
  CHECK(test::same_bytes(one, trained<mpx::place_evenly<2>>()));
  CHECK(test::same_bytes(one, trained<mpx::place_evenly<3>>()));
  CHECK(test::same_bytes(one, trained<mpx::place_evenly<4>>()));
  CHECK(test::same_bytes(one, trained<there_and_back>()));
}
