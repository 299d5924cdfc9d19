// error: mpx::device_weights requires its user to give each device one speed above 0
// fact: device_weights<2, 1>
#include <mpx/policy/recipe.hpp>

mpx::recipe<mpx::place_by_cost<3, mpx::balance_time, mpx::device_weights<2, 1>>,
            mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>> run;
