// error: mpx::mesh requires its tensor ranks to divide the columns that they share
// fact:  layer_named<[^,]*layers.0
// fact:  to_be_shared<90
#include <mpx/model/gpt2.hpp>
#include <mpx/plan/plan.hpp>

using model = mpx::gpt2<mpx::vocabulary<64>, mpx::width<32>, mpx::heads<4>, mpx::feed_forward<90>, mpx::layers<2>,
                        mpx::context<16>>;
using recipe = mpx::recipe<mpx::mesh<mpx::tensor<4>>, mpx::microbatch_capacity<mpx::sequences<1>, mpx::tokens<16>>>;
auto const& plan = mpx::plan_v<model, recipe>;
