#include <mpx/kernels/update.hpp>

#include <algorithm>
#include <array>
#include <vector>

#include <mpx/host/rows.hpp>
#include <mpx_test.hpp>

#include "numbers.hpp"

using mpx::on_host::row_operations;
using mpx_test::numbers;

namespace {

struct rate {
  float value;
};

/// w -= rate * (g + the sum of its states); state s counts s + 1 more each step.
template <int States> struct counting {
  static constexpr int states = States;

  template <class A> static A updated(rate const& r, A weight, A gradient, A* state) {
    A sum = gradient;
    for (int s = 0; s < States; ++s) {
      state[s] += A(s + 1);
      sum += state[s];
    }
    return weight - A(r.value) * sum;
  }
};

constexpr auto unbounded = [](float gradient) { return gradient; };

template <int States> void check_two_steps() {
  for (std::size_t const n : mpx_test::widths) {
    auto const gradient = numbers<float>(n, 1);
    std::vector<float> master(n, 1.0f);
    std::vector<mpx::bf16> weights(n);
    std::array<std::vector<float>, States> kept;
    std::array<float*, States> state;
    for (int s = 0; s < States; ++s) {
      kept[s].assign(n, 0.0f);
      state[s] = kept[s].data();
    }
    for (int step = 0; step < 2; ++step)
      row_operations::update<counting<States>>(rate{0.5f}, master.data(), weights.data(), gradient.data(), state, n,
                                               1.0f, unbounded);
    // After two steps state s holds 2 (s + 1), and the steps added 3 (s + 1) of it in all.
    float const from_states = 3.0f * States * (States + 1) / 2;
    for (std::size_t i = 0; i < n; ++i) {
      for (int s = 0; s < States; ++s) REQUIRE(kept[s][i] == 2.0f * (s + 1));
      REQUIRE(master[i] == Approx(1.0f - 0.5f * (2 * gradient[i] + from_states)).epsilon(1e-6).margin(1e-6));
      REQUIRE(weights[i].bits == mpx::bf16(master[i]).bits);
    }
  }
}

}  // namespace

TEST_CASE("update moves master, states and weights of optimizers with any number of states", "[kernels][update]") {
  check_two_steps<0>();
  check_two_steps<1>();
  check_two_steps<2>();
  check_two_steps<4>();
}

TEST_CASE("update multiplies the gradient by the factor, then bounds it", "[kernels][update]") {
  float const gradient[] = {1, 8, -8};
  float master[] = {0, 0, 0};
  row_operations::update<counting<0>>(rate{1.0f}, master, static_cast<float*>(nullptr), gradient,
                                      std::array<float*, 0>{}, 3, 0.5f,
                                      [](float g) { return std::clamp(g, -2.0f, 2.0f); });
  CHECK(master[0] == -0.5f);
  CHECK(master[1] == -2.0f);  // 8 * 0.5 is cut to 2
  CHECK(master[2] == 2.0f);
}

TEST_CASE("update takes a bound of the user's own", "[kernels][update]") {
  float const gradient[] = {1, -3};
  float master[] = {0, 0};
  row_operations::update<counting<0>>(rate{1.0f}, master, master, gradient, std::array<float*, 0>{}, 2, 1.0f,
                                      [](float g) { return g > 0.0f ? 1.0f : -1.0f; });
  CHECK(master[0] == -1.0f);
  CHECK(master[1] == 1.0f);
}

TEST_CASE("weights may be the master or nothing: the same master results", "[kernels][update]") {
  auto const gradient = numbers<float>(33, 2);
  std::vector<float> master(33, 1.0f), shared(33, 1.0f), alone(33, 1.0f), weights(33);
  std::array<float*, 0> const none{};
  row_operations::update<counting<0>>(rate{0.1f}, master.data(), weights.data(), gradient.data(), none, 33, 1.0f,
                                      unbounded);
  row_operations::update<counting<0>>(rate{0.1f}, shared.data(), shared.data(), gradient.data(), none, 33, 1.0f,
                                      unbounded);
  row_operations::update<counting<0>>(rate{0.1f}, alone.data(), static_cast<mpx::bf16*>(nullptr), gradient.data(), none,
                                      33, 1.0f, unbounded);
  CHECK(weights == master);
  CHECK(shared == master);
  CHECK(alone == master);
}
