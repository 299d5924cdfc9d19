// error: mpx::layer requires a function of rows to take whole rows
// fact:  sharded_1
#include <mpx/host/machine.hpp>
#include <mpx/layer/operations.hpp>

using context = mpx::layer_context<mpx::on_host::machine, float>;
template <mpx::spread Over>
using activation = mpx::tensor_view<float, mpx::activation_layout(Over)>;

void norm(context const& c, activation<mpx::spread::sharded_1> x, activation<mpx::spread::sharded_0> weight) {
  mpx::rows_of(c, x.data, x, weight);
}
