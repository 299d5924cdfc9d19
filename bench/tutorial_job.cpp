// A step of the tutorial's encoder-decoder: width 128, 4 heads, feed-forward 2048, 2 + 2 layers, 32 pairs, dropout 0.1.
#include "on_host.hpp"

int main(int argc, char** argv) {
  return bench::run(argc, argv, "Steps of the tutorial's encoder-decoder", bench::on_one_and_two_threads<bench::tutorial>());
}
