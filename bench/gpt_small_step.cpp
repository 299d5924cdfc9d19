// A step of a small GPT: 6 layers, width 384, 8 x 256 bytes.
#include "on_host.hpp"

int main(int argc, char** argv) {
  return bench::run(argc, argv, "Steps of a small GPT", bench::on_one_and_two_threads<bench::gpt_small>());
}
