// error: mpx::mesh requires its tensor ranks to divide the vocabulary: pad it to a multiple of them
// fact:  layer_named<[^,]*embedding
// fact:  to_be_shared<50257
// fact:  next_multiple<50264
#include <mpx/model/gpt2.hpp>
#include <mpx/plan/plan.hpp>

using model = mpx::gpt2<mpx::vocabulary<50257>, mpx::width<64>, mpx::heads<8>, mpx::layers<2>, mpx::context<16>>;
using recipe = mpx::recipe<mpx::mesh<mpx::tensor<8>>, mpx::microbatch_capacity<mpx::sequences<1>, mpx::tokens<16>>>;
auto const& plan = mpx::plan_v<model, recipe>;
