// error: mpx::mesh requires its tensor ranks to divide the heads of each attention
// fact:  layer_named<[^,]*layers.0
// fact:  to_be_shared<6
// fact:  tensor_ranks<4
#include <mpx/model/gpt2.hpp>
#include <mpx/plan/plan.hpp>

using model = mpx::gpt2<mpx::vocabulary<64>, mpx::width<48>, mpx::heads<6>, mpx::layers<2>, mpx::context<16>>;
using recipe = mpx::recipe<mpx::mesh<mpx::tensor<4>>, mpx::microbatch_capacity<mpx::sequences<1>, mpx::tokens<16>>>;
auto const& plan = mpx::plan_v<model, recipe>;
