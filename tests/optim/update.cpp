// Mirrors include/mpx/optim/update.hpp. What it refuses is in tests/compile_fail/{optimizer,clip_by_global_norm}_*.
#include <mpx/optim/update.hpp>

#include <array>
#include <vector>

#include <mpx/host/machine.hpp>

#include <mpx_test.hpp>

namespace {

using enum mpx::spread;

/// A gradient that data ranks and stages have summed, of a parameter that lies so over tensor ranks.
template <mpx::spread OverTensor>
using reduced = mpx::tensor_view<float const, mpx::layout{OverTensor, invariant, invariant}>;
template <mpx::spread OverTensor, class T = float>
using weights = mpx::tensor_view<T, mpx::parameter_layout(OverTensor)>;

float half(float g) { return g > 0.5f ? 0.5f : g; }
constexpr auto unbound = [](float g) { return g; };

// What norm and update take: whole gradients, in the weight's slice or on each rank.
template <mpx::spread Weight, mpx::spread Gradient>
constexpr bool updates =
    mpx::over_mesh(mpx::layouts::update, weights<Weight>::mesh_layout, reduced<Gradient>::mesh_layout).allowed();
static_assert(updates<invariant, invariant> && updates<sharded_0, sharded_0> && updates<sharded_1, sharded_1>);
static_assert(!updates<invariant, sharded_0> && !updates<sharded_0, invariant> && !updates<sharded_0, sharded_1>);

template <mpx::layout Gradient>
constexpr bool has_norm = mpx::over_mesh(mpx::layouts::squares, Gradient).allowed();
static_assert(has_norm<reduced<invariant>::mesh_layout> && has_norm<reduced<sharded_1>::mesh_layout>);
static_assert(!has_norm<mpx::gradient_layout(weights<invariant>::mesh_layout)>);  // a data rank's part

}  // namespace

TEST_CASE("squares of slices and squares of copies are kept apart", "[optim][update]") {
  mpx::on_host::machine machine;
  float const a[] = {3, 4}, b[] = {1, 2, 2}, c[] = {6};
  mpx::square_sums<float> sums;
  mpx::add_squares(machine, &sums, reduced<invariant>{a}, 2);
  CHECK((sums.copies == 25 && sums.slices == 0));
  mpx::add_squares(machine, &sums, reduced<sharded_0>{b}, 3);
  CHECK((sums.copies == 25 && sums.slices == 9));
  mpx::add_squares(machine, &sums, reduced<sharded_1>{c}, 1);
  mpx::add_squares(machine, &sums, reduced<invariant>{a}, 1);
  CHECK((sums.copies == 25 + 9 && sums.slices == 9 + 36));
}

TEST_CASE("each portion of a gradient has a sum of its own", "[optim][update]") {
  mpx::on_host::machine machine;
  std::vector<float> gradient(2 * mpx::portion_elements + 3, 1.0f);
  gradient[mpx::portion_elements] = 2;
  std::vector<mpx::square_sums<float>> sums(mpx::portions_in(gradient.size()));
  mpx::add_squares(machine, sums.data(), reduced<sharded_0>{gradient.data()}, gradient.size());
  REQUIRE(sums.size() == 3);
  CHECK((sums[0].slices == 65536 && sums[1].slices == 65536 + 3 && sums[2].slices == 3));
  mpx::add_squares(machine, sums.data(), reduced<invariant>{gradient.data()}, 2 * mpx::portion_elements);
  CHECK((sums[0].copies == 65536 && sums[1].copies == 65536 + 3 && sums[2].copies == 0));
  mpx::add_squares(machine, sums.data(), reduced<invariant>{gradient.data()}, 0);
  CHECK(sums[0].copies == 65536);
}

TEST_CASE("two ranks' slices and one copy have the norm of the whole", "[optim][update]") {
  // A weight (1, 2 | 3, 4), of which each rank has a half, and a bias (5) that both have.
  mpx::on_host::machine machine;
  float const weight[] = {1, 2, 3, 4}, bias[] = {5};
  std::array<mpx::square_sums<float>, 2> ranks;
  for (std::size_t r = 0; r < 2; ++r) {
    mpx::add_squares(machine, &ranks[r], reduced<sharded_0>{weight + 2 * r}, 2);
    mpx::add_squares(machine, &ranks[r], reduced<invariant>{bias}, 1);
  }
  CHECK(ranks[0].slices + ranks[1].slices + ranks[0].copies == 1 + 4 + 9 + 16 + 25);
  CHECK(ranks[0].copies == ranks[1].copies);
}

TEST_CASE("a parameter moves against its bounded gradient, and its compute-type copy follows", "[optim][update]") {
  mpx::on_host::machine machine;
  float master[] = {1, 2, 3};
  float const gradient[] = {4, -2, 0.5f};
  mpx::bf16 copy[3];
  // g / 4 is (1, -0.5, 0.125), bounded (0.5, -0.5, 0.125); the rate is 2.
  mpx::update_parameter<mpx::sgd>(machine, {.rate = 2}, weights<sharded_1>{master}, weights<sharded_1, mpx::bf16>{copy},
                                  reduced<sharded_1>{gradient}, std::array<float*, 0>{}, 3, 0.25f, half);
  CHECK(std::vector<float>(master, master + 3) == std::vector<float>{0, 3, 2.75f});
  CHECK(std::vector<float>(copy, copy + 3) == std::vector<float>{0, 3, 2.75f});
}

TEST_CASE("an update keeps the optimizer's states, and leaves what is beyond its parameter", "[optim][update]") {
  mpx::on_host::machine machine;
  float master[] = {1, 1, 7}, state[] = {0, 4, 7};
  float const gradient[] = {1, 2, 3};
  mpx::sgd_momentum const optimizer{.momentum = 0.5};
  mpx::update_parameter<mpx::sgd_momentum>(machine, optimizer.at(1, 1.0f), weights<invariant>{master},
                                           weights<invariant>{nullptr}, reduced<invariant>{gradient},
                                           std::array<float*, 1>{state}, 2, 1.0f, unbound);
  // b = b / 2 + g is (1, 4), which the weights lose.
  CHECK(std::vector<float>(state, state + 3) == std::vector<float>{1, 4, 7});
  CHECK(std::vector<float>(master, master + 3) == std::vector<float>{0, -3, 7});
}
