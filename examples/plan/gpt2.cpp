#include "planned.hpp"

void add_gpt2(std::vector<planned>& to) {
  add_plans<mpx::gpt2_124m, 1, 2, 4>(to, "gpt2_124m");
  add_plans<mpx::gpt2_355m, 1, 2, 4>(to, "gpt2_355m");
  add_plans<mpx::gpt2_774m, 1, 2, 4>(to, "gpt2_774m");
  add_plans<mpx::gpt2_1558m, 1, 2, 4>(to, "gpt2_1558m");
  // 25 heads: five tensor ranks share them.
  add_meshes<mpx::with_padded_vocabulary<mpx::gpt2_1558m, 5>, mesh_of<1, 1, 5>, mesh_of<1, 4, 5>>(to, "gpt2_1558m");
}
