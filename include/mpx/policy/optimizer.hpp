/// @file
/// How one weight moves, given its gradient: element formulas that a backend runs over all weights.
#pragma once

#include <cmath>
#include <concepts>

#include <mpx/config/config.hpp>
#include <mpx/core/diagnostic.hpp>

namespace mpx {

/// Has a formula for one weight, and the numbers of that formula which depend on the step alone.
///   states                            values kept per weight besides the weight, zero before the first step
///   at(step, rate)                    everything that is the same for all weights of a step, worked out once in f64;
///                                     step is counted from 1 and not advanced by skipped steps
///   updated(constants, w, g, state)   the new weight; state[0 .. states - 1] are read and replaced
/// `updated` is a template over the element type A, so that master weights may be f32 or f64. It must not throw, must be free of
/// branches and inlined (MPX_INLINE), or the loop over the weights does not vectorise. For the same reason the array
/// behind `state` belongs into an inlined function that the loop calls: declared in the body of an `omp simd` loop it
/// is laid out once per lane by GCC, which then gives up.
template <class T>
concept optimizer_policy =
    requires(T const policy, typename T::constants const constants, float* state) {
      { &T::states } -> std::same_as<int const*>;
      { policy.at(1L, 1.0f) } -> std::same_as<typename T::constants>;
      { T::updated(constants, 1.0f, 1.0f, state) } -> std::same_as<float>;
    } ||
    unsatisfied<"an optimizer policy offers `static constexpr int states`, a type `constants`, `constants at(long step, float rate) const` and `template <class A> static A updated(constants const&, A weight, A gradient, A* state)`", T>();

/// An optimizer whose constants carry weight decay, which vectors (biases, norm weights: parameters of rank 1) may be
/// exempt from: `bool decay_vectors` says whether they decay too, `without_decay` takes the decay out of the constants.
template <class T>
concept decaying_optimizer =
    optimizer_policy<T> && requires(T const policy, typename T::constants const constants) {
      { policy.decay_vectors } -> std::convertible_to<bool>;
      { T::without_decay(constants) } -> std::same_as<typename T::constants>;
    };

/// The constants for a parameter of this rank, from those of the step.
template <optimizer_policy Optimizer>
[[nodiscard]] constexpr typename Optimizer::constants constants_for(Optimizer const& optimizer,
                                                                    typename Optimizer::constants const& of_step,
                                                                    int rank) {
  if constexpr (decaying_optimizer<Optimizer>) {
    return rank <= 1 && !optimizer.decay_vectors ? Optimizer::without_decay(of_step) : of_step;
  } else {
    return of_step;
  }
}

/// Stochastic gradient descent: w -= rate * g.
/// Source  Robbins, Monro 1951, "A stochastic approximation method"
struct sgd {
  static constexpr int states = 0;

  struct constants {
    float rate = 0.0f;
  };

  [[nodiscard]] constexpr constants at(long, float rate) const noexcept { return {.rate = rate}; }

  template <class A>
  [[nodiscard]] MPX_HOST_DEVICE MPX_INLINE static constexpr A updated(constants const& c, A weight, A gradient, A*) {
    return weight - A(c.rate) * gradient;
  }
};

/// Gradient descent along a running sum of gradients.
///   g += weight_decay * w;  b = momentum * b + g;  w -= rate * (nesterov ? g + momentum * b : b)
/// Types   b: one A per weight. weight_decay is coupled (an L2 penalty), unlike adamw's
/// Source  Sutskever, Martens, Dahl, Hinton 2013, "On the importance of initialization and momentum in deep learning",
///         in PyTorch's form (torch.optim.SGD, no dampening), where the rate scales the sum and not what enters it
struct sgd_momentum {
  double momentum = 0.9;
  bool nesterov = false;
  double weight_decay = 0.0;
  bool decay_vectors = false;  ///< biases and norm weights decay too

  static constexpr int states = 1;

  struct constants {
    float rate = 0.0f;
    float momentum = 0.0f;
    float gradient_share = 0.0f;  ///< of g in the direction: 1 with nesterov, else 0
    float sum_share = 1.0f;       ///< of b in the direction: momentum with nesterov, else 1
    float weight_decay = 0.0f;
  };

  [[nodiscard]] constexpr constants at(long, float rate) const noexcept {
    auto const mu = static_cast<float>(momentum);
    return {.rate = rate,
            .momentum = mu,
            .gradient_share = nesterov ? 1.0f : 0.0f,
            .sum_share = nesterov ? mu : 1.0f,
            .weight_decay = static_cast<float>(weight_decay)};
  }

  [[nodiscard]] static constexpr constants without_decay(constants c) noexcept {
    c.weight_decay = 0.0f;
    return c;
  }

  template <class A>
  [[nodiscard]] MPX_HOST_DEVICE MPX_INLINE static constexpr A updated(constants const& c, A weight, A gradient,
                                                                      A* state) {
    A const slope = gradient + A(c.weight_decay) * weight;
    A const sum = A(c.momentum) * state[0] + slope;
    state[0] = sum;
    return weight - A(c.rate) * (A(c.gradient_share) * slope + A(c.sum_share) * sum);
  }
};

/// Each weight moves by about the rate, against its mean gradient and whatever the gradient's size.
///   m += (1 - beta1) * (g - m);  v = beta2 * v + (1 - beta2) * g^2
///   w -= rate / (1 - beta1^step) * m / (sqrt(v) / sqrt(1 - beta2^step) + epsilon)
/// Types   m, v: one A each per weight
/// Source  Kingma, Ba 2014, arXiv:1412.6980, algorithm 1, in torch.optim.Adam's order of operations
struct adam {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;

  static constexpr int states = 2;

  struct constants {
    float step_size = 0.0f;  ///< rate / (1 - beta1^step)
    float gain1 = 0.0f;      ///< 1 - beta1, subtracted in f64: 1 - 0.999f is wrong in its fifth digit
    float beta2 = 0.0f;
    float gain2 = 0.0f;            ///< 1 - beta2
    float root_correction = 0.0f;  ///< 1 / sqrt(1 - beta2^step)
    float epsilon = 0.0f;
  };

  [[nodiscard]] constants at(long step, float rate) const noexcept {
    auto const t = static_cast<double>(step);
    return {.step_size = static_cast<float>(rate / (1.0 - std::pow(beta1, t))),
            .gain1 = static_cast<float>(1.0 - beta1),
            .beta2 = static_cast<float>(beta2),
            .gain2 = static_cast<float>(1.0 - beta2),
            .root_correction = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(beta2, t))),
            .epsilon = static_cast<float>(epsilon)};
  }

  template <class A>
  [[nodiscard]] MPX_HOST_DEVICE MPX_INLINE static A updated(constants const& c, A weight, A gradient, A* state) {
    A const mean = state[0] + A(c.gain1) * (gradient - state[0]);
    A const square = A(c.beta2) * state[1] + A(c.gain2) * gradient * gradient;
    state[0] = mean;
    state[1] = square;
    return weight - A(c.step_size) * mean / (std::sqrt(square) * A(c.root_correction) + A(c.epsilon));
  }
};

/// Adam, after each weight was shrunk by rate * weight_decay of itself; the gradient's mean and square never see it.
///   w -= rate * weight_decay * w;  then as adam
/// Types   m, v: one A each per weight
/// Source  Loshchilov, Hutter 2017, arXiv:1711.05101, algorithm 2, in torch.optim.AdamW's order of operations
struct adamw {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.01;
  bool decay_vectors = false;  ///< biases and norm weights decay too

  static constexpr int states = 2;

  struct constants {
    adam::constants adaptive;
    float shrink = 0.0f;  ///< rate * weight_decay
  };

  [[nodiscard]] constants at(long step, float rate) const noexcept {
    return {.adaptive = adam{.beta1 = beta1, .beta2 = beta2, .epsilon = epsilon}.at(step, rate),
            .shrink = static_cast<float>(rate * weight_decay)};
  }

  [[nodiscard]] static constexpr constants without_decay(constants c) noexcept {
    c.shrink = 0.0f;
    return c;
  }

  template <class A>
  [[nodiscard]] MPX_HOST_DEVICE MPX_INLINE static A updated(constants const& c, A weight, A gradient, A* state) {
    return adam::updated(c.adaptive, weight - A(c.shrink) * weight, gradient, state);
  }
};

}  // namespace mpx
