// error: mpx::place_by_cost requires balance_memory to have no device_weights: they are speeds
// fact: cost_options<2, mpx::balance_memory, mpx::device_weights<2, 1>
#include <mpx/policy/recipe.hpp>

mpx::recipe<mpx::place_by_cost<2, mpx::balance_memory, mpx::device_weights<2, 1>>,
            mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>> run;
