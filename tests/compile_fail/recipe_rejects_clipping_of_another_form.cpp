// The factor of all gradients, but in double.
// error: a clipping policy offers either `float scale\(float norm\) const`, the factor of all gradients, .*or `float element\(float gradient\) const`
// fact: halving
#include <mpx/policy/recipe.hpp>

struct halving {
  double scale(double norm) const { return norm > 1.0 ? 0.5 : 1.0; }
};

mpx::recipe<halving, mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>> run;
