// error: mpx::mesh requires its placement to use as many devices as its pipeline axis has
// fact:  pipeline_axis<4
// fact:  devices_placed<2
#include <mpx/model/gpt2.hpp>
#include <mpx/plan/plan.hpp>

using model = mpx::gpt2<mpx::vocabulary<64>, mpx::width<32>, mpx::heads<4>, mpx::layers<2>, mpx::context<16>>;
using recipe = mpx::recipe<mpx::mesh<mpx::data<2>, mpx::pipeline<4>>, mpx::place_evenly<2>,
                           mpx::microbatch_capacity<mpx::sequences<1>, mpx::tokens<16>>>;
auto const& plan = mpx::plan_v<model, recipe>;
