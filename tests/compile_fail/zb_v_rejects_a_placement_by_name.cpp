// Named devices say where layers live, not where one of a device's two stages ends and the next one begins.
// error: mpx::recipe requires its placement to lay the stages over the devices as its pipeline schedule deals its chunks
// fact: stages_placed<3
// fact: devices_placed<2
// fact: chunks_dealt<2
#include <mpx/model/gpt2.hpp>
#include <mpx/plan/plan.hpp>

using model = mpx::gpt2<mpx::vocabulary<61>, mpx::width<32>, mpx::heads<4>, mpx::layers<2>, mpx::context<16>>;
using in_a_v = mpx::place_at<mpx::at<"embedding", mpx::host<0>>, mpx::at<"layers", mpx::host<1>>, mpx::at<"norm", mpx::host<0>>,
                             mpx::at<"head", mpx::host<0>>, mpx::at<"loss", mpx::host<0>>>;
using run = mpx::recipe<in_a_v, mpx::zb_v<mpx::microbatches<4>>, mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>>;
constexpr auto& plan = mpx::plan_v<model, run>;
