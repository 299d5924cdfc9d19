// error: mpx::place_by_cost requires its weights to be device_weights<...>
// fact: cost_options<2[^>]*, int>
#include <mpx/policy/recipe.hpp>

mpx::recipe<mpx::place_by_cost<2, mpx::balance_time, int>,
            mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>> run;
