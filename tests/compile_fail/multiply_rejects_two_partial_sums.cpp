// error: mpx::multiply requires its operands to multiply on each axis of the mesh
// fact:  laid_out<[^>]*partial
#include <mpx/host/machine.hpp>
#include <mpx/layer/operations.hpp>

using context = mpx::layer_context<mpx::on_host::machine, float>;
template <mpx::spread Over>
using activation = mpx::tensor_view<float, mpx::activation_layout(Over)>;

void product(context const& c, activation<mpx::spread::partial> x, activation<mpx::spread::partial> w) {
  mpx::multiply(c, x.data, x, w, {});
}
