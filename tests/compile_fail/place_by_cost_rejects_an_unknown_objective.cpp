// The weights stand where the objective belongs.
// error: mpx::place_by_cost requires its objective to be balance_time, balance_memory or balance_time_within<Budget>
// fact: device_weights<2, 1>
#include <mpx/policy/recipe.hpp>

mpx::recipe<mpx::place_by_cost<2, mpx::device_weights<2, 1>>,
            mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>> run;
