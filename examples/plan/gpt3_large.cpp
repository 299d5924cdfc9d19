#include "planned.hpp"

void add_gpt3_large(std::vector<planned>& to) {
  add_plans<mpx::gpt3_13b, 1, 2, 4, 16>(to, "gpt3_13b");
  add_plans<mpx::gpt3_175b, 1, 2, 4, 16>(to, "gpt3_175b");
}
