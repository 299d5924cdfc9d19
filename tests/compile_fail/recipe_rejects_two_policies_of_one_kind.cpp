// error: mpx::recipe requires its user to give at most one policy of each kind
// fact: single_policies<mpx::adam, mpx::sgd
#include <mpx/policy/recipe.hpp>

mpx::recipe<mpx::adam, mpx::sgd, mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>> run;
