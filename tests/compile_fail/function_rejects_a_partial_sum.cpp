// error: mpx::layer requires a function that is not linear to take a whole value
// fact:  partial
#include <mpx/host/machine.hpp>
#include <mpx/layer/operations.hpp>

using context = mpx::layer_context<mpx::on_host::machine, float>;
template <mpx::spread Over>
using activation = mpx::tensor_view<float, mpx::activation_layout(Over)>;

void gelu(context const& c, activation<mpx::spread::partial> x) { mpx::function_of(c, x.data, x); }
