// error: mpx::clip_by_global_norm requires fully reduced gradients
// fact:  partial
#include <mpx/host/machine.hpp>
#include <mpx/optim/update.hpp>

constexpr mpx::layout weight = mpx::parameter_layout(mpx::spread::invariant);

// A gradient as backward leaves it, which no data rank has reduced.
void count(mpx::on_host::machine& machine, mpx::square_sums<float>* sums,
           mpx::tensor_view<float, mpx::gradient_layout(weight)> gradient) {
  mpx::add_squares(machine, sums, gradient, 1);
}
