// A step of GPT-2 small, 124M parameters, 16 x 1024 tokens, on one GPU.
#include "on_gpu.hpp"

int main(int argc, char** argv) {
  return bench::run(argc, argv, "Steps of GPT-2, 124M parameters, on a GPU",
                    {bench::timed_on_gpu<bench::gpt2_large_batch, mpx::bf16_mixed>("bf16")});
}
