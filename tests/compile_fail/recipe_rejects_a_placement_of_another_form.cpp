// It gives ordinals, not devices.
// error: a placement policy offers, .*`static constexpr std::array<device, N> assign\(std::array<layer_info, N> const&\)`
// fact: by_ordinal
#include <mpx/policy/recipe.hpp>

struct by_ordinal {
  template <std::size_t N>
  static constexpr std::array<int, N> assign(std::array<mpx::layer_info, N> const&) {
    return {};
  }
};

mpx::recipe<by_ordinal, mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>> run;
