// It lists forwards alone, so its list is too short.
// error: a pipeline schedule offers `static constexpr std::size_t microbatches`, .*`static constexpr std::size_t fewest_microbatches\(int stages\)` and .*`static constexpr std::array<task, 2 \* microbatches> tasks\(int stage, int stages\)`
// fact: forwards_alone
#include <mpx/policy/recipe.hpp>

struct forwards_alone {
  static constexpr std::size_t microbatches = 2;
  static constexpr std::size_t fewest_microbatches(int) { return 1; }
  static constexpr std::array<mpx::task, 2> tasks(int, int) { return {{{mpx::work::forward, 0}, {mpx::work::forward, 1}}}; }
};

mpx::recipe<forwards_alone, mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>> run;
