// error: mpx::all_gather requires slices of the rows: S<0>, as mpx::sequence_parallel leaves them
// fact: gatherable<mpx::laid_out<[^,]*(invariant|0)
#include <mpx/mpx.hpp>

using group = mpx::on_host::group;
using context = mpx::layer_context<mpx::on_host::machine, float, mpx::rank_of<group, 2, mpx::spread::sharded_0>>;
template <mpx::spread Over>
using activation = mpx::tensor_view<float, mpx::activation_layout(Over)>;

void again(context const& c, float* all, activation<mpx::spread::invariant> x) { mpx::all_gather(c, all, x, mpx::axis::target, 8); }
