// A step of the tutorial's encoder-decoder: width 128, 4 heads, feed-forward 2048, 2 + 2 layers, 32 pairs, dropout 0.1.
#include "worker.hpp"

int main(int argc, char** argv) {
  using bench::timed;
  using bench::tutorial;
  return bench::run(argc, argv, "Steps of the tutorial's encoder-decoder",
                    {timed<tutorial, mpx::mesh<>, mpx::f32_only, 1>("f32", 1),
                     timed<tutorial, mpx::mesh<>, mpx::bf16_mixed, 1>("bf16", 1),
                     timed<tutorial, mpx::mesh<mpx::data<2>>, mpx::f32_only, 1>("f32", 2),
                     timed<tutorial, mpx::mesh<mpx::data<2>>, mpx::bf16_mixed, 1>("bf16", 2)});
}
