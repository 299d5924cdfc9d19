// Trains a small translator for one step. print_plan.cpp includes mpx as well: both must link into one program.
#include "translator.hpp"

#include <iostream>

int main() {
  print_plan(std::cout);
  mpx::trainer<model, recipe> trainer{{.clipping = {.max_norm = 1.0f}, .lr = {.warmup = 400}, .seed = 42}};
  for (auto const& batch : mpx::numbers_to_words{}.batches(32)) {
    std::cout << trainer.step(batch) << '\n';
    return 0;
  }
  std::cerr << "no batch\n";
  return 1;
}
