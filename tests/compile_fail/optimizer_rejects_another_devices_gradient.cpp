// error: mpx::tensor_view requires an operation's machine to be of the kind that its tensor lives on
// fact:  device_kind::cuda
// fact:  device_kind::host
#include <mpx/host/machine.hpp>
#include <mpx/optim/update.hpp>

constexpr mpx::layout whole{mpx::spread::invariant, mpx::spread::invariant, mpx::spread::invariant};
using on_gpu = mpx::tensor_view<float, whole, mpx::device_kind::cuda>;

void add(mpx::on_host::machine& machine, mpx::square_sums<float>* sums, on_gpu gradient) {
  mpx::add_squares(machine, sums, gradient, 1);
}
