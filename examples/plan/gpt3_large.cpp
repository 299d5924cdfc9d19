#include "planned.hpp"

// As the field pads it: to a multiple of 128 on each of eight tensor ranks.
template <class Model> using padded = mpx::with_padded_vocabulary<Model, 1024>;

void add_gpt3_large(std::vector<planned>& to) {
  add_plans<mpx::gpt3_13b, 1, 2, 4, 16>(to, "gpt3_13b");
  add_meshes<padded<mpx::gpt3_13b>, mesh_of<1, 2, 4>, mesh_of<2, 4, 2>>(to, "gpt3_13b");
  add_plans<mpx::gpt3_175b, 1, 2, 4, 16>(to, "gpt3_175b");
  add_meshes<padded<mpx::gpt3_175b>, mesh_of<8, 16, 8>>(to, "gpt3_175b");
}
