// It has chunks, and does not say which device each of them is for.
// error: a pipeline schedule with chunks offers `static constexpr std::size_t microbatches`, .*`static constexpr std::size_t fewest_microbatches\(int stages\)`, .*`static constexpr int device_of\(int stage, int devices\)` and .*`static constexpr std::array<task, 2 \* microbatches \* chunks> tasks\(int device, int devices\)`
// fact: undealt
#include <mpx/policy/recipe.hpp>

struct undealt {
  static constexpr std::size_t microbatches = 1, chunks = 1;
  static constexpr std::size_t fewest_microbatches(int) { return 1; }
  static constexpr std::array<mpx::task, 2> tasks(int, int) { return {{{mpx::work::forward, 0}, {mpx::work::backward, 0}}}; }
};

mpx::recipe<undealt, mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>> run;
