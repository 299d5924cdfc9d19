// error: mpx::shard_gradients requires its recipe to sum gradients over the data ranks for each microbatch: mpx::sum_each_microbatch, or one microbatch
// fact:  given_microbatches<4>
#include <mpx/model/gpt2.hpp>
#include <mpx/plan/plan.hpp>

using model = mpx::gpt2<mpx::vocabulary<64>, mpx::width<32>, mpx::heads<4>, mpx::layers<2>, mpx::context<16>>;
using recipe = mpx::recipe<mpx::mesh<mpx::data<2>>, mpx::gpipe<mpx::microbatches<4>>, mpx::shard_gradients, mpx::canonical_sum,
                           mpx::microbatch_capacity<mpx::sequences<1>, mpx::tokens<16>>>;
constexpr auto size = mpx::plan_v<model, recipe>.bytes_on(mpx::host<0>{});
