// A step of GPT-2 XL, 1.56 billion parameters, 4 x 1024 tokens, on one GPU.
#include "on_gpu.hpp"

int main(int argc, char** argv) {
  return bench::run(argc, argv, "Steps of GPT-2 XL, 1.56 billion parameters, on a GPU",
                    {bench::timed_on_gpu<bench::gpt2_xl, mpx::bf16_mixed>("bf16")});
}
