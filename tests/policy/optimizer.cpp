// Mirrors include/mpx/policy/optimizer.hpp.
#include <mpx/policy/optimizer.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <vector>

#include <mpx_test.hpp>

namespace {

struct no_formula {
  static constexpr int states = 0;
  struct constants {};
  constants at(long, float) const { return {}; }
};
struct states_unknown {
  int states = 1;
  struct constants {};
  constants at(long, float) const { return {}; }
  template <class A>
  static A updated(constants const&, A weight, A, A*) {
    return weight;
  }
};
struct sign_descent {  // what a user may add
  static constexpr int states = 0;
  struct constants {
    float rate;
  };
  constants at(long, float rate) const { return {rate}; }
  template <class A>
  static A updated(constants const& c, A weight, A gradient, A*) {
    return weight - A(c.rate) * (gradient < A(0) ? A(-1) : A(1));
  }
};

constexpr float rate = 0.01f;
constexpr std::array<double, 6> gradients{0.5, -0.25, 1.0, 0.0, -2.0, 0.125};

/// The weights after each step, from weight 1, with the gradients above.
template <class A, class Optimizer>
std::vector<A> trajectory(Optimizer const& optimizer) {
  std::array<A, 2> state{};
  std::vector<A> weights;
  A weight = 1;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    auto const constants = optimizer.at(static_cast<long>(i) + 1, rate);
    weight = Optimizer::updated(constants, weight, static_cast<A>(gradients[i]), state.data());
    weights.push_back(weight);
  }
  return weights;
}

/// The papers' formulas as they are printed, in f64: Kingma and Ba's algorithm 1 with both moments corrected, and
/// Loshchilov and Hutter's decay taken from the weight before the step.
std::vector<double> adam_as_printed(double beta1, double beta2, double epsilon, double weight_decay) {
  double m = 0, v = 0, weight = 1;
  std::vector<double> weights;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    double const t = static_cast<double>(i) + 1, g = gradients[i];
    m = beta1 * m + (1 - beta1) * g;
    v = beta2 * v + (1 - beta2) * g * g;
    double const m_hat = m / (1 - std::pow(beta1, t)), v_hat = v / (1 - std::pow(beta2, t));
    weight = weight - double(rate) * weight_decay * weight - double(rate) * m_hat / (std::sqrt(v_hat) + epsilon);
    weights.push_back(weight);
  }
  return weights;
}

std::vector<double> momentum_as_printed(double momentum, bool nesterov, double weight_decay) {
  double sum = 0, weight = 1;
  std::vector<double> weights;
  for (double g : gradients) {
    g += weight_decay * weight;
    sum = momentum * sum + g;
    weight -= double(rate) * (nesterov ? g + momentum * sum : sum);
    weights.push_back(weight);
  }
  return weights;
}

/// Six steps in f32 stay within a few roundings of 2^-24 each; in f64 only the constants are rounded to f32.
template <class Optimizer>
void follows(Optimizer const& optimizer, std::vector<double> const& expected) {
  auto const single = trajectory<float>(optimizer);
  auto const twice = trajectory<double>(optimizer);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    INFO("step " << i + 1);
    CHECK(std::abs(single[i] - expected[i]) < 5e-7);
    CHECK(std::abs(twice[i] - expected[i]) < 1e-8);
  }
}

}  // namespace

static_assert(mpx::optimizer_policy<mpx::sgd> && mpx::sgd::states == 0);
static_assert(mpx::optimizer_policy<mpx::sgd_momentum> && mpx::sgd_momentum::states == 1);
static_assert(mpx::optimizer_policy<mpx::adam> && mpx::adam::states == 2);
static_assert(mpx::optimizer_policy<mpx::adamw> && mpx::adamw::states == 2);
static_assert(mpx::optimizer_policy<sign_descent>);
static_assert(!mpx::optimizer_policy<no_formula>);
static_assert(!mpx::optimizer_policy<states_unknown>);
static_assert(!mpx::optimizer_policy<int>);

static_assert(mpx::decaying_optimizer<mpx::adamw> && mpx::decaying_optimizer<mpx::sgd_momentum>);
static_assert(!mpx::decaying_optimizer<mpx::adam> && !mpx::decaying_optimizer<mpx::sgd>);

constexpr double two_steps_with_momentum() {
  mpx::sgd_momentum const optimizer{.momentum = 0.5};
  double sum = 0;
  double const once = mpx::sgd_momentum::updated(optimizer.at(1, 0.25f), 1.0, 1.0, &sum);
  return mpx::sgd_momentum::updated(optimizer.at(2, 0.25f), once, 1.0, &sum);
}
static_assert(two_steps_with_momentum() == 0.375);  // 1 - 0.25 * 1 - 0.25 * 1.5
static_assert(mpx::sgd::updated({.rate = 0.25f}, 1.0f, 2.0f, static_cast<float*>(nullptr)) == 0.5f);

TEST_CASE("sgd moves by rate times gradient", "[policy][optimizer]") {
  auto const c = mpx::sgd{}.at(1, 0.5f);
  CHECK(mpx::sgd::updated(c, 3.0f, 4.0f, static_cast<float*>(nullptr)) == 1.0f);
  CHECK(mpx::sgd::updated(c, 3.0f, 0.0f, static_cast<float*>(nullptr)) == 3.0f);
}

TEST_CASE("sgd_momentum without momentum is sgd", "[policy][optimizer]") {
  CHECK(trajectory<double>(mpx::sgd_momentum{.momentum = 0.0}) == trajectory<double>(mpx::sgd{}));
}

TEST_CASE("sgd_momentum sums the gradients", "[policy][optimizer]") {
  // b = 1, then 0.5 * 1 + 1 = 1.5; with rate 1 the weight goes 0, -1, -2.5.
  mpx::sgd_momentum const plain{.momentum = 0.5};
  float sum = 0.0f;
  CHECK(mpx::sgd_momentum::updated(plain.at(1, 1.0f), 0.0f, 1.0f, &sum) == -1.0f);
  CHECK(mpx::sgd_momentum::updated(plain.at(2, 1.0f), -1.0f, 1.0f, &sum) == -2.5f);
  CHECK(sum == 1.5f);

  // Nesterov looks ahead: g + 0.5 * b = 1.5 in the first step already.
  mpx::sgd_momentum const ahead{.momentum = 0.5, .nesterov = true};
  sum = 0.0f;
  CHECK(mpx::sgd_momentum::updated(ahead.at(1, 1.0f), 0.0f, 1.0f, &sum) == -1.5f);
}

TEST_CASE("sgd_momentum follows the printed formula", "[policy][optimizer]") {
  follows(mpx::sgd_momentum{}, momentum_as_printed(0.9, false, 0.0));
  follows(mpx::sgd_momentum{.nesterov = true}, momentum_as_printed(0.9, true, 0.0));
  follows(mpx::sgd_momentum{.momentum = 0.5, .weight_decay = 0.1}, momentum_as_printed(0.5, false, 0.1));
  follows(mpx::sgd_momentum{.nesterov = true, .weight_decay = 0.1}, momentum_as_printed(0.9, true, 0.1));
}

TEST_CASE("adam's first step is the rate against the sign of the gradient", "[policy][optimizer]") {
  auto const c = mpx::adam{}.at(1, 0.125f);
  for (float gradient : {1e-3f, 1.0f, 250.0f}) {
    INFO("gradient " << gradient);
    float up[2] = {0.0f, 0.0f};
    float down[2] = {0.0f, 0.0f};
    CHECK(mpx::adam::updated(c, 1.0f, gradient, up) == Approx(0.875f).epsilon(2e-5));
    CHECK(mpx::adam::updated(c, 1.0f, -gradient, down) == Approx(1.125f).epsilon(2e-5));
  }
}

TEST_CASE("adam leaves a weight that never had a gradient alone", "[policy][optimizer]") {
  float state[2] = {0.0f, 0.0f};
  CHECK(mpx::adam::updated(mpx::adam{}.at(1, 0.125f), 1.0f, 0.0f, state) == 1.0f);
  CHECK(state[0] == 0.0f);
  CHECK(state[1] == 0.0f);
}

TEST_CASE("adam keeps the mean and the mean square", "[policy][optimizer]") {
  // beta1 = 0.5 and beta2 = 0.75, gradient 2: the mean goes 0, 1, 1.5 and the square 0, 1, 1.75.
  mpx::adam const optimizer{.beta1 = 0.5, .beta2 = 0.75};
  float state[2] = {0.0f, 0.0f};
  float const once = mpx::adam::updated(optimizer.at(1, 0.5f), 0.0f, 2.0f, state);
  CHECK(state[0] == 1.0f);
  CHECK(state[1] == 1.0f);
  CHECK(once == Approx(-0.5f));
  float const again = mpx::adam::updated(optimizer.at(2, 0.5f), once, 2.0f, state);
  CHECK(state[0] == 1.5f);
  CHECK(state[1] == 1.75f);
  CHECK(again == Approx(-1.0f));  // both corrected moments are those of the constant gradient: again one rate
}

TEST_CASE("adam's constants are subtracted before they are rounded", "[policy][optimizer]") {
  auto const c = mpx::adam{}.at(1, 1.0f);
  CHECK(c.gain2 == 1e-3f);  // 1 - 0.999f is 0.00099998713
  CHECK(c.step_size == Approx(10.0f));
  CHECK(c.root_correction == Approx(std::sqrt(1000.0f)));
  // After many steps nothing is left to correct.
  auto const late = mpx::adam{}.at(1'000'000, 0.25f);
  CHECK(late.step_size == 0.25f);
  CHECK(late.root_correction == 1.0f);
}

TEST_CASE("adam and adamw follow the printed formulas", "[policy][optimizer]") {
  follows(mpx::adam{}, adam_as_printed(0.9, 0.999, 1e-8, 0.0));
  follows(mpx::adam{.beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-3}, adam_as_printed(0.8, 0.95, 1e-3, 0.0));
  follows(mpx::adamw{}, adam_as_printed(0.9, 0.999, 1e-8, 0.01));
  follows(mpx::adamw{.weight_decay = 0.5}, adam_as_printed(0.9, 0.999, 1e-8, 0.5));
}

TEST_CASE("adamw decays a weight that has no gradient", "[policy][optimizer]") {
  float state[2] = {0.0f, 0.0f};
  mpx::adamw const optimizer{.weight_decay = 0.5};
  CHECK(mpx::adamw::updated(optimizer.at(1, 0.25f), 8.0f, 0.0f, state) == 7.0f);  // 8 - 0.25 * 0.5 * 8
}

TEST_CASE("adamw without decay is adam", "[policy][optimizer]") {
  CHECK(trajectory<float>(mpx::adamw{.weight_decay = 0.0}) == trajectory<float>(mpx::adam{}));
}

TEST_CASE("vectors are exempt from weight decay unless the user says otherwise", "[policy][optimizer]") {
  mpx::adamw const exempt{.weight_decay = 0.5};
  mpx::adamw const strict{.weight_decay = 0.5, .decay_vectors = true};
  auto const c = exempt.at(1, 0.25f);
  CHECK(c.shrink == 0.125f);
  CHECK(mpx::constants_for(exempt, c, 2).shrink == 0.125f);
  CHECK(mpx::constants_for(exempt, c, 1).shrink == 0.0f);
  CHECK(mpx::constants_for(exempt, c, 1).adaptive.step_size == c.adaptive.step_size);
  CHECK(mpx::constants_for(strict, c, 1).shrink == 0.125f);

  mpx::sgd_momentum const momentum{.weight_decay = 0.5};
  CHECK(mpx::constants_for(momentum, momentum.at(1, 1.0f), 2).weight_decay == 0.5f);
  CHECK(mpx::constants_for(momentum, momentum.at(1, 1.0f), 1).weight_decay == 0.0f);

  CHECK(mpx::constants_for(mpx::sgd{}, mpx::sgd{}.at(1, 0.5f), 1).rate == 0.5f);
}
