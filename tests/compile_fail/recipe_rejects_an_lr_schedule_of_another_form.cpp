// error: an lr schedule offers `float rate\(long step\) const`, where step 1 is the first
// fact: halving
#include <mpx/policy/recipe.hpp>

struct halving {
  double rate(long step) const { return 1.0 / static_cast<double>(step); }
};

mpx::recipe<halving, mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>> run;
