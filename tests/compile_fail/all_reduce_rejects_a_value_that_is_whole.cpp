// error: mpx::all_reduce requires a partial sum: what is whole already would be summed twice
// fact:  invariant
#include <mpx/host/machine.hpp>
#include <mpx/layer/operations.hpp>

using context = mpx::layer_context<mpx::on_host::machine, float>;
template <mpx::spread Over>
using activation = mpx::tensor_view<float, mpx::activation_layout(Over)>;

void twice(context const& c, activation<mpx::spread::partial> x) { mpx::all_reduce(c, mpx::all_reduce(c, x, 1), 1); }
