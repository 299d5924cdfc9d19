// Seventeen streams wait for the layers at the end.
// error: mpx::sequential requires at most 16 streams that wait for later layers
// fact: held_streams<17>
#include <mpx/model/cross_entropy.hpp>
#include <mpx/model/linear.hpp>
#include <mpx/model/sequential.hpp>
#include <mpx/plan/plan.hpp>

template <mpx::fixed_string Name>
struct writes : mpx::layer_defaults {
  using takes = mpx::message<>;
  using gives = mpx::message<mpx::stream<Name, 4>>;
};
template <mpx::fixed_string... Names>
struct reading : mpx::layer_defaults {
  using takes = mpx::message<mpx::stream<"x", 4>>;
  using gives = takes;
  using reads = mpx::message<mpx::stream<Names, 4>...>;
};

using model = mpx::sequential<writes<"a">, writes<"b">, writes<"c">, writes<"d">, writes<"e">, writes<"f">, writes<"g">,
                              writes<"h">, writes<"i">, writes<"j">, writes<"k">, writes<"l">, writes<"m">, writes<"n">,
                              writes<"o">, writes<"p">, writes<"q">, writes<"x">, reading<"a", "b", "c", "d">,
                              reading<"e", "f", "g", "h">, reading<"i", "j", "k", "l">, reading<"m", "n", "o", "p">,
                              reading<"q">, mpx::language_head<4, 4>, mpx::cross_entropy<4>>;
using run = mpx::recipe<mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>>;
constexpr auto& plan = mpx::plan_v<model, run>;
