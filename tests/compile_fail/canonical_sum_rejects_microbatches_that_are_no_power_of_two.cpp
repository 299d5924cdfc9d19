// error: mpx::canonical_sum requires a number of microbatches that is a power of two
// fact:  given_microbatches<6
#include <mpx/model/gpt2.hpp>
#include <mpx/plan/plan.hpp>

using model = mpx::gpt2<mpx::vocabulary<64>, mpx::width<32>, mpx::heads<4>, mpx::layers<2>, mpx::context<16>>;
using recipe = mpx::recipe<mpx::gpipe<mpx::microbatches<6>>, mpx::canonical_sum,
                           mpx::microbatch_capacity<mpx::sequences<1>, mpx::tokens<16>>>;
auto const& plan = mpx::plan_v<model, recipe>;
