// Its formula has no state argument.
// error: an optimizer policy offers `static constexpr int states`, a type `constants`, .*`constants at\(long step, float rate\) const` and .*`template <class A> static A updated\(constants const&, A weight, A gradient, A\* state\)`
// fact: descent
#include <mpx/policy/recipe.hpp>

struct descent {
  static constexpr int states = 0;
  struct constants {
    float rate;
  };
  constexpr constants at(long, float rate) const { return {rate}; }
  template <class A>
  static A updated(constants const& c, A weight, A gradient) {
    return weight - c.rate * gradient;
  }
};

mpx::recipe<descent, mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>> run;
