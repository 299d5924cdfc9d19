/// @file
/// The optimizer's step over a run of weights.
#pragma once

#include <array>
#include <cstddef>
#include <utility>

#include <mpx/config/config.hpp>
#include <mpx/core/dtype.hpp>
#include <mpx/kernels/lanes.hpp>

namespace mpx::kernels {

/// master[i] = Optimizer::updated(constants, master[i], bound(gradient[i] * factor), state[..][i]); where `weights` is
/// neither null nor the master itself, it receives the new value rounded to T.
/// Shapes  master, weights, gradient, each state: [n]
/// Types   master, gradient, states: A; weights: T
template <class Optimizer, lanes L, class Constants, class T, class A, std::size_t States, class Bound>
MPX_HOST_DEVICE MPX_INLINE void update(L const& along, Constants const& constants, A* master, T* weights,
                                       A const* gradient, std::array<A*, States> const& state, std::size_t n, A factor,
                                       Bound bound) {
  static_assert(States == static_cast<std::size_t>(Optimizer::states),
                "mpx::kernels::update requires one array per state of the optimizer");
  // Named by index, never by a loop: the compiler then keeps an element's states in registers.
  auto const moved = [=]<std::size_t... S>(std::size_t i, std::index_sequence<S...>) {
    A kept[States + 1] = {state[S][i]..., A(0)};
    A const weight = Optimizer::updated(constants, master[i], bound(gradient[i] * factor), kept);
    ((state[S][i] = kept[S]), ...);
    master[i] = weight;
    return weight;
  };
  auto const all = std::make_index_sequence<States>{};
  if (weights == nullptr || static_cast<void const*>(weights) == static_cast<void const*>(master)) {
    along.each(n, [=](std::size_t i) { moved(i, all); });
  } else {
    along.each(n, [=](std::size_t i) { weights[i] = T(moved(i, all)); });
  }
}

}  // namespace mpx::kernels
