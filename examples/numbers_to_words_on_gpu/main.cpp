// Numbers to words on a GPU, or with the encoder on the processor and the decoder on the GPU: another placement, another
// trainer's name, nothing else.
//
//   numbers_to_words_on_gpu --ask 407               train on the numbers 0 to 999, then answer
//   numbers_to_words_on_gpu --encoder-on-host
#include <CLI/CLI.hpp>

#include <cstdio>

#include <mpx/cuda.hpp>

#include "../numbers_to_words/run.hpp"

using one_gpu = mpx::place_all<mpx::cuda<0>>;
using host_and_gpu = mpx::place_at<mpx::at<"encoder", mpx::host<0>>, mpx::at<"decoder", mpx::cuda<0>>>;

template <class Model, class Recipe>
using on_gpus = mpx::cuda_trainer<Model, Recipe>;

template <class Placement>
int train_on(options const& chosen) {
  return run_on<mpx::mesh<>, mpx::bf16_mixed, mpx::no_loss_scaling, Placement, on_gpus>(chosen);
}

int main(int argc, char** argv) {
  options chosen;
  bool encoder_on_host = false;
  CLI::App app{"Trains an encoder-decoder Transformer on a GPU to say numbers in words"};
  app.add_option("--epochs", chosen.epochs, "passes over the training pairs")->check(CLI::Range(1, 100000))->capture_default_str();
  app.add_option("--seed", chosen.seed, "of first values, dropout and order")->capture_default_str();
  app.add_option("--pairs", chosen.pairs, "a file of lines source<TAB>target, instead of the numbers");
  app.add_option("--ask", chosen.ask, "a source to answer after training; may be given several times");
  app.add_flag("--encoder-on-host", encoder_on_host, "the decoder alone on the GPU");
  app.add_flag("--quiet", chosen.quiet, "no progress line");
  CLI11_PARSE(app, argc, argv);
  try {
    return encoder_on_host ? train_on<host_and_gpu>(chosen) : train_on<one_gpu>(chosen);
  } catch (mpx::error const& e) {
    std::fprintf(stderr, "numbers_to_words_on_gpu: %s\n", e.what());
    return 1;
  }
}
