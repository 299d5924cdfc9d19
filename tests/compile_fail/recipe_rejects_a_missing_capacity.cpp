// error: mpx::recipe requires its user to give mpx::microbatch_capacity<sequences<B>, tokens<T>>
#include <mpx/policy/recipe.hpp>

mpx::recipe<mpx::adam, mpx::bf16_mixed> run;
