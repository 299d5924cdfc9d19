// error: mpx::mesh requires its tensor ranks to divide the key/value heads of each attention
// fact:  layer_named<[^,]*layers.0
// fact:  to_be_shared<2
// fact:  tensor_ranks<4
#include <mpx/model/llama.hpp>
#include <mpx/plan/plan.hpp>

using model = mpx::llama<mpx::vocabulary<64>, mpx::width<64>, mpx::heads<8>, mpx::key_value_heads<2>, mpx::feed_forward<64>>;
using recipe = mpx::recipe<mpx::mesh<mpx::tensor<4>>, mpx::microbatch_capacity<mpx::sequences<1>, mpx::tokens<16>>>;
auto const& plan = mpx::plan_v<model, recipe>;
