// Brings its own clipping rule, learning-rate schedule and optimizer, and trains with them. A policy is told by what it
// offers: no base class, no registration, and one of the wrong form does not compile.
#include <mpx/mpx.hpp>

#include <cmath>
#include <iostream>

/// Never cuts, only shrinks: a gradient of norm `half` is halved, a huge one is brought down to about `half`.
struct shrink {
  float half = 1.0f;
  float scale(float norm) const { return half / (half + norm); }
};

/// Up and down again between `low` and `high`, every `period` steps. Numbers are values: they can be set at run time.
struct triangle {
  float low = 1e-4f, high = 2e-3f;
  long period = 40;
  float rate(long step) const {
    float const phase = static_cast<float>(step % period) / static_cast<float>(period);
    return low + (high - low) * (1 - std::abs(2 * phase - 1));
  }
};

/// Lion: each weight moves by the rate, in the direction of a running mean (Chen et al. 2023, arXiv:2302.06675).
struct lion {
  double beta1 = 0.9, beta2 = 0.99;
  static constexpr int states = 1;  // values kept for each weight
  struct constants {
    float rate, keep, gain, slow_keep, slow_gain;
  };
  constants at(long, float rate) const {
    return {rate, float(beta1), float(1 - beta1), float(beta2), float(1 - beta2)};
  }
  template <class A>
  MPX_INLINE static A updated(constants const& c, A weight, A gradient, A* state) {
    A const direction = A(c.keep) * state[0] + A(c.gain) * gradient;
    state[0] = A(c.slow_keep) * state[0] + A(c.slow_gain) * gradient;
    return weight - A(c.rate) * std::copysign(A(1), direction);
  }
};

using model = mpx::seq2seq<mpx::source_vocabulary<11>, mpx::target_vocabulary<13>, mpx::width<64>, mpx::heads<4>,
                           mpx::feed_forward<128>, mpx::encoder_layers<1>, mpx::decoder_layers<1>, mpx::context<16>>;
using recipe = mpx::recipe<shrink, triangle, lion,
                           mpx::microbatch_capacity<mpx::sequences<32>, mpx::source_tokens<8>, mpx::target_tokens<8>>>;

int main() {
  mpx::trainer<model, recipe> trainer{{.clipping = {.half = 2.0f}, .lr = {.high = 1e-3f}}};
  mpx::numbers_to_words const task;
  for (unsigned epoch = 0; epoch < 4; ++epoch)
    for (auto const& batch : task.batches(32, 1, epoch))
      if (auto const report = trainer.step(batch); report.step % 20 == 0) std::cout << report << '\n';
}
