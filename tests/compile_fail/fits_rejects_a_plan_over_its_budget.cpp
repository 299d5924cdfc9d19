// A budget that the first device's plan exceeds.
// error: mpx::fits requires the device to have the memory that the plan needs on it
// fact: on_device<mpx::device_kind::host, 0>
// fact: available<1048576>
// fact: largest<mpx::memory_kind::optimizer
#include <mpx/model/gpt2.hpp>
#include <mpx/plan/plan.hpp>

using namespace mpx::literals;
using model = mpx::gpt2<mpx::vocabulary<256>, mpx::width<128>, mpx::heads<4>, mpx::layers<2>, mpx::context<16>>;
using recipe = mpx::recipe<mpx::place_evenly<2>, mpx::fits<mpx::host<0>, 1_MiB>, mpx::fits<mpx::host<1>, 1_GiB>,
                           mpx::microbatch_capacity<mpx::sequences<1>, mpx::tokens<8>>>;
constexpr auto& plan = mpx::plan_v<model, recipe>;
