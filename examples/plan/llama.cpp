#include "planned.hpp"

void add_llama(std::vector<planned>& to) {
  add_plans<mpx::llama_7b, 1, 2, 4>(to, "llama_7b");
  add_plans<mpx::llama_13b, 1, 2, 4>(to, "llama_13b");
  add_plans<mpx::llama_33b, 4, 16>(to, "llama_33b");
  add_plans<mpx::llama_65b, 4, 16>(to, "llama_65b");
  add_plans<mpx::llama2_70b, 4, 16>(to, "llama2_70b");
  add_plans<mpx::llama3_8b, 1, 4>(to, "llama3_8b");
  add_meshes<mpx::llama_65b, mesh_of<1, 8, 8>>(to, "llama_65b");
}
