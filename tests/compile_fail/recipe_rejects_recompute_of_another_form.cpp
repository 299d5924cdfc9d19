// It decides by the layer's row, and not by the layer.
// error: a recompute policy offers `static constexpr bool recomputes\(layer_info const&\)`
// fact: every_other
#include <mpx/policy/recipe.hpp>

struct every_other {
  static constexpr bool recomputes(std::size_t row) { return row % 2 == 1; }
};

mpx::recipe<every_other, mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>> run;
