// error: mpx::tensor_view requires an operation's machine to be of the kind that its tensor lives on
// fact:  device_kind::cuda
// fact:  device_kind::host
#include <mpx/host/machine.hpp>
#include <mpx/layer/operations.hpp>

struct gpu : mpx::on_host::machine {
  static constexpr mpx::device_kind kind = mpx::device_kind::cuda;
};
using context = mpx::layer_context<gpu, float>;
using host_tensor = mpx::tensor_view<float, mpx::activation_layout(mpx::spread::partial), mpx::device_kind::host>;

void reduce(context const& c, host_tensor x) { mpx::all_reduce(c, x, 1); }
