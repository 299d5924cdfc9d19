// error: mpx::microbatch_capacity requires each argument to be sequences<N>, source_tokens<N>, target_tokens<N> or tokens<N>
// fact: capacity_tags<mpx::sequences<8>, mpx::microbatches<4>
#include <mpx/policy/recipe.hpp>

mpx::recipe<mpx::microbatch_capacity<mpx::sequences<8>, mpx::microbatches<4>>> run;
