/// @file
/// The norm and the update of one parameter, from gradients whose type says that they are fully reduced.
#pragma once

#include <array>
#include <cstddef>
#include <type_traits>

#include <mpx/backend/operations.hpp>
#include <mpx/policy/optimizer.hpp>
#include <mpx/policy/sharding.hpp>
#include <mpx/tensor/view.hpp>

namespace mpx {

namespace detail {

template <class Weight, class Gradient>
struct reduced_gradient {
  static_assert(over_mesh(layouts::update, Weight::as, Gradient::as).allowed(),
                "mpx::optimizer requires a fully reduced gradient in its parameter's layout: each partial sum over data ranks, "
                "stages and tensor ranks is taken once");
};

template <class Gradient>
struct whole_squares {
  static_assert(over_mesh(layouts::squares, Gradient::as).allowed(),
                "mpx::clip_by_global_norm requires fully reduced gradients: the norm of a sum is not a sum of norms");
};

}  // namespace detail

/// An update goes by a factor that was decided, behind all that may fail; or by what the machine decides, which nobody has
/// waited for: what went wrong on it before may come out now.
template <class Factor>
inline constexpr bool is_decided = !std::is_same_v<Factor, decided_by_machine>;

/// Sums of squares of one tensor rank. Those of slices are added up over the tensor ranks, those of copies are counted once.
template <class A>
struct square_sums {
  A slices = 0;
  A copies = 0;
};

/// Adds the squares of a gradient portion by portion, where its layout says that they belong; they are there when the
/// machine has finished.
/// Shapes  gradient: [n], sums: [portions_in(n)]
template <class Machine, class A, view Gradient>
void add_squares(Machine& machine, square_sums<A>* sums, Gradient gradient, std::size_t n) {
  constexpr std::size_t stride = sizeof(square_sums<A>) / sizeof(A);
  constexpr layout counted = over_mesh(layouts::squares, Gradient::mesh_layout);
  static_cast<void>(sizeof(detail::whole_squares<laid_out_t<Gradient::mesh_layout>>));
  require_same_memory<Machine, Gradient>();
  machine.add_squares(counted.tensor == spread::partial ? &sums->slices : &sums->copies, stride, gradient.data, n,
                      portion_elements);
}

/// One step of the optimizer on one parameter: its master values and, where there are some, its compute-type copy. `factor`: of
/// each gradient, or decided_by_machine.
/// Shapes  master, weights, gradient, each of states: [n]
template <class Optimizer, class Machine, view Master, view Weights, view Gradient, class A, std::size_t States, class Factor,
          class Bound>
void update_parameter(Machine& machine, typename Optimizer::constants const& constants, Master master, Weights weights,
                      Gradient gradient, std::array<A*, States> const& states, std::size_t n, Factor factor, Bound bound)
    noexcept(is_decided<Factor>) {
  static_cast<void>(sizeof(detail::reduced_gradient<laid_out_t<Master::mesh_layout>, laid_out_t<Gradient::mesh_layout>>));
  require_same_memory<Machine, Master, Weights, Gradient>();
  machine.template update<Optimizer>(constants, master.data, weights.data, gradient.data, states, n, factor, bound);
}

}  // namespace mpx
