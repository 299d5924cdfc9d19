// Its next() does not say whether the step was finite.
// error: a loss scaling policy offers a copyable `state`, `state initial\(\) const`, `float scale\(state const&\) const` and `state next\(state const&, bool\) const`
// fact: growing
#include <mpx/policy/recipe.hpp>

struct growing {
  struct state {
    float scale = 1.0f;
  };
  state initial() const { return {}; }
  float scale(state const& now) const { return now.scale; }
  state next(state const& now) const { return {now.scale * 2.0f}; }
};

mpx::recipe<growing, mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>> run;
