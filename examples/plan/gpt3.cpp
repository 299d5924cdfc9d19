#include "planned.hpp"

void add_gpt3(std::vector<planned>& to) {
  add_plans<mpx::gpt3_2_7b, 1, 2, 4, 16>(to, "gpt3_2_7b");
  add_plans<mpx::gpt3_6_7b, 1, 2, 4, 16>(to, "gpt3_6_7b");
}
