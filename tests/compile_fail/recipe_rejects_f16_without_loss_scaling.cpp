// error: mpx::recipe requires f16 arithmetic to have loss scaling
// fact: kept_gradients<mpx::f16
#include <mpx/policy/recipe.hpp>

mpx::recipe<mpx::f16_mixed, mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>> run;
