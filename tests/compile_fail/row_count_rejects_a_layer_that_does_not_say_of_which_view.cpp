// error: mpx::sequence_parallel requires a layer to say of which view it wants the rows: row_count\(axis, view\)
// fact: rows_are_whole
#include <mpx/mpx.hpp>

using group = mpx::on_host::group;
using context = mpx::layer_context<mpx::on_host::machine, float, mpx::rank_of<group, 2, mpx::spread::sharded_0>>;
template <mpx::spread Over>
using activation = mpx::tensor_view<float, mpx::activation_layout(Over)>;

std::size_t all(context const& c) { return c.row_count(mpx::axis::target); }
