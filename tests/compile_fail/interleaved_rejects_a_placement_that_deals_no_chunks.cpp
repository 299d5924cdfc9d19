// A cut by memory knows nothing of chunks: it gives each device one stage, and the schedule wants two.
// error: mpx::recipe requires its placement to lay the stages over the devices as its pipeline schedule deals its chunks
// fact: stages_placed<2
// fact: devices_placed<2
// fact: chunks_dealt<2
#include <mpx/model/gpt2.hpp>
#include <mpx/plan/plan.hpp>

using model = mpx::gpt2<mpx::vocabulary<61>, mpx::width<32>, mpx::heads<4>, mpx::layers<2>, mpx::context<16>>;
using run = mpx::recipe<mpx::place_by_cost<2, mpx::balance_memory>, mpx::interleaved<mpx::microbatches<4>, mpx::chunks<2>>,
                        mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>>;
constexpr auto& plan = mpx::plan_v<model, run>;
