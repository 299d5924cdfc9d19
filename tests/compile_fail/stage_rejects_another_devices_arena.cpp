// error: mpx::tensor_view requires an operation's machine to be of the kind that its tensor lives on
// fact:  device_kind::host
// fact:  device_kind::cuda
#include <mpx/host/machine.hpp>
#include <mpx/model/activation.hpp>
#include <mpx/runtime/stage.hpp>

using layers = mpx::stage_layers<mpx::run<mpx::activation<mpx::gelu, 8>, 1>>;

void make(mpx::stage_tables const& tables, mpx::on_host::machine& machine, mpx::arena_view<mpx::device_kind::cuda> on_gpu) {
  mpx::stage<mpx::on_host::machine, float, layers>(tables, machine, on_gpu);
}
