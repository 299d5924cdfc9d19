// error: mpx::reduce_scatter requires a partial sum: what is whole already would be summed twice
// fact: scatterable<mpx::laid_out<[^,]*(replicated|1)
#include <mpx/mpx.hpp>

using group = mpx::on_host::group;
using context = mpx::layer_context<mpx::on_host::machine, float, mpx::rank_of<group, 2, mpx::spread::sharded_0>>;
template <mpx::spread Over>
using activation = mpx::tensor_view<float, mpx::activation_layout(Over)>;

void again(context const& c, float* y, activation<mpx::spread::replicated> x) { mpx::reduce_scatter(c, y, x, mpx::axis::target, 8); }
