/// @file
/// The loss at work.
#pragma once

#include <mpx/layer/context.hpp>
#include <mpx/model/cross_entropy.hpp>

namespace mpx {

/// In training the logits' gradient is written over the logits at once; backward has nothing left to do.
template <std::size_t V>
struct execution<cross_entropy<V>> : no_constants {
  template <class C, class T>
  static void forward(C const& c, T const*, T const*, T const*, T*, std::byte* saved) {
    using A = typename C::accumulate;
    T* const logits = reinterpret_cast<T*>(saved);
    if (c.capture) {
      std::int32_t const* const lengths = c.feed("target_lengths");
      for (int s = 0; s < c.size.sequences; ++s)
        c.machine.widen(c.capture + static_cast<std::size_t>(s) * V,
                              logits + (static_cast<std::size_t>(s) * c.size.tokens_on(axis::target) + lengths[s] - 1) * V, V);
    }
    c.machine.cross_entropy(c.loss, logits, c.feed("targets"), static_cast<std::size_t>(c.rows(axis::target)), V,
                            static_cast<A>(c.step.label_smoothing), static_cast<A>(c.step.gradient_scale),
                            c.step.mode == run_mode::training);
  }
  template <class C, class T, class A>
  static void backward(C const&, T const*, A*, T const*, T const*, T*, std::byte*) {}
};

}  // namespace mpx
