// A step of the tutorial's encoder-decoder on one GPU: width 128, 4 heads, feed-forward 2048, 2 + 2 layers, 32 pairs.
#include "on_gpu.hpp"

int main(int argc, char** argv) {
  return bench::run(argc, argv, "Steps of the tutorial's encoder-decoder on a GPU",
                    {bench::timed_on_gpu<bench::tutorial, mpx::f32_only>("f32"),
                     bench::timed_on_gpu<bench::tutorial, mpx::bf16_mixed>("bf16")});
}
