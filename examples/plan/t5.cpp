#include "planned.hpp"

// What T5 was trained on: 512 source tokens, of which 15 % are asked for, in 114 target tokens.
using t5_capacity = mpx::microbatch_capacity<mpx::sequences<1>, mpx::source_tokens<512>, mpx::target_tokens<114>>;

void add_t5(std::vector<planned>& to) {
  add_plans<mpx::t5_small, t5_capacity, 1, 2, 4>(to, "t5_small");
  add_plans<mpx::t5_base, t5_capacity, 1, 2, 4>(to, "t5_base");
  add_plans<mpx::t5_large, t5_capacity, 1, 2, 4>(to, "t5_large");
  add_plans<mpx::t5_3b, t5_capacity, 1, 2, 4>(to, "t5_3b");
  add_plans<mpx::t5_11b, t5_capacity, 1, 2, 4>(to, "t5_11b");
}
