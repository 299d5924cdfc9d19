// error: mpx::place_by_cost requires its user to name at least one device
// fact: cost_options<0,
#include <mpx/policy/recipe.hpp>

mpx::recipe<mpx::place_by_cost<0>, mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>> run;
