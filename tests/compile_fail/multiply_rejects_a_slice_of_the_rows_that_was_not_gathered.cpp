// error: mpx::multiply requires its operands to multiply on each axis of the mesh
// fact: linear_layouts<mpx::laid_out<
#include <mpx/mpx.hpp>

using group = mpx::on_host::group;
using context = mpx::layer_context<mpx::on_host::machine, float, mpx::rank_of<group, 2, mpx::spread::sharded_0>>;
template <mpx::spread Over>
using activation = mpx::tensor_view<float, mpx::activation_layout(Over)>;
using weight = mpx::tensor_view<float const, mpx::parameter_layout(mpx::spread::sharded_0)>;

void forgotten(context const& c, float* y, activation<mpx::spread::sharded_0> x, weight w) { mpx::multiply(c, y, x, w, {4, 8, 8}); }
