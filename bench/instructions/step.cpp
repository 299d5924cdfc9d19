// A fixed number of training steps on one device, for whoever counts their instructions (check.cmake beside it).
//
//   build/bench/instructions f32 4
#include "../jobs.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

using model = mpx::gpt2<mpx::vocabulary<256>, mpx::width<64>, mpx::heads<2>, mpx::layers<1>, mpx::context<32>>;

template <class Precision>
void train(int steps) {
  mpx::trainer<model, mpx::recipe<mpx::gpipe<mpx::microbatches<2>>, Precision, mpx::clip_by_global_norm, mpx::adamw,
                                  mpx::microbatch_capacity<mpx::sequences<2>, mpx::tokens<32>>>>
      trainer;
  auto const batch = bench::random_batch(4, 0, 32, 256, 1);
  for (int step = 0; step < steps; ++step) trainer.step(batch);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: instructions f32|bf16 <steps>\n");
    return 1;
  }
  int const steps = std::atoi(argv[2]);
  if (std::strcmp(argv[1], "f32") == 0) train<mpx::f32_only>(steps);
  else train<mpx::bf16_mixed>(steps);
}
