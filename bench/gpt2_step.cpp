// A step of GPT-2 small, 124M parameters: 4 x 256 and 1 x 1024 tokens.
#include "on_host.hpp"

int main(int argc, char** argv) {
  using bench::gpt2_long;
  using bench::gpt2_short;
  using bench::timed;
  return bench::run(argc, argv, "Steps of GPT-2, 124M parameters",
                    {timed<gpt2_short, mpx::mesh<>, mpx::f32_only, 1>("f32", 1),
                     timed<gpt2_short, mpx::mesh<>, mpx::bf16_mixed, 1>("bf16", 1),
                     timed<gpt2_short, mpx::mesh<mpx::data<2>>, mpx::bf16_mixed, 1>("bf16", 2),
                     timed<gpt2_long, mpx::mesh<>, mpx::f32_only, 1>("f32", 1),
                     timed<gpt2_long, mpx::mesh<>, mpx::bf16_mixed, 1>("bf16", 1)});
}
