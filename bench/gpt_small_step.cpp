// A step of a small GPT: 6 layers, width 384, 8 x 256 bytes.
#include "worker.hpp"

int main(int argc, char** argv) {
  using bench::gpt_small;
  using bench::timed;
  return bench::run(argc, argv, "Steps of a small GPT",
                    {timed<gpt_small, mpx::mesh<>, mpx::f32_only, 1>("f32", 1),
                     timed<gpt_small, mpx::mesh<>, mpx::bf16_mixed, 1>("bf16", 1),
                     timed<gpt_small, mpx::mesh<mpx::data<2>>, mpx::f32_only, 1>("f32", 2),
                     timed<gpt_small, mpx::mesh<mpx::data<2>>, mpx::bf16_mixed, 1>("bf16", 2)});
}
