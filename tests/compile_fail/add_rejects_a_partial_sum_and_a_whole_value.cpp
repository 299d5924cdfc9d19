// error: mpx::add requires both sides to have one layout: a partial sum is reduced before a whole value is added
// fact:  replicated
// fact:  partial
#include <mpx/host/machine.hpp>
#include <mpx/layer/operations.hpp>

using context = mpx::layer_context<mpx::on_host::machine, float>;
template <mpx::spread Over>
using activation = mpx::tensor_view<float, mpx::activation_layout(Over)>;

void sum(context const& c, activation<mpx::spread::replicated> x, activation<mpx::spread::partial> y) {
  mpx::add(c, x, y, 1);
}
