// Numbers to words: an encoder reads "407" on one device, a decoder says "four zero seven" on another.
//
//   numbers_to_words --ask 407                      train on the numbers 0 to 999, then answer
//   numbers_to_words --precision f16 --mesh 1,1,1   another arithmetic, another placement
//   numbers_to_words --mesh 2,2,2                   two data ranks, each two stages long, two tensor ranks a stage
//   numbers_to_words --pairs FILE.tsv               train on pairs of your own: source<TAB>target on each line
#include <CLI/CLI.hpp>

#include <cstdio>

#include <mpx/core/error.hpp>

#include "options.hpp"

int main(int argc, char** argv) {
  options chosen;
  CLI::App app{"Trains an encoder-decoder Transformer to say numbers in words"};
  app.add_option("--epochs", chosen.epochs, "passes over the training pairs")->check(CLI::Range(1, 100000))->capture_default_str();
  app.add_option("--batch", chosen.batch, "pairs in a batch, split into 4 microbatches")->check(CLI::Range(1, 128))->capture_default_str();
  app.add_option("--seed", chosen.seed, "of first values, dropout and order")->capture_default_str();
  app.add_option("--mesh", chosen.mesh,
                 "data ranks, pipeline stages, tensor ranks: 1,1,1 or 1,2,1, the encoder on one device and the decoder on "
                 "another; with bf16 also 2,1,1, 1,1,2 or 2,2,2")
      ->type_name("D,P,T")->capture_default_str();
  app.add_option("--precision", chosen.precision, "of the arithmetic; master weights are f32")
      ->check(CLI::IsMember({"f32", "bf16", "f16"}))->capture_default_str();
  app.add_option("--pairs", chosen.pairs, "a file of lines source<TAB>target, instead of the numbers");
  app.add_option("--ask", chosen.ask, "a source to answer after training; may be given several times");
  app.add_flag("--quiet", chosen.quiet, "no progress line");
  CLI11_PARSE(app, argc, argv);
  try {
    bool const one_rank = chosen.mesh == "1,1,1" || chosen.mesh == "1,2,1";
    bool const on_ranks = chosen.mesh == "2,1,1" || chosen.mesh == "1,1,2" || chosen.mesh == "2,2,2";
    if (!one_rank && !(on_ranks && chosen.precision == "bf16"))
      throw mpx::error({"no such run was compiled in", "--mesh " + chosen.mesh + " --precision " + chosen.precision,
                        "1,1,1 or 1,2,1; with bf16 also 2,1,1, 1,1,2 or 2,2,2", ""});
    if (on_ranks) return run_on_mesh(chosen);
    return chosen.precision == "f32" ? run_f32(chosen) : chosen.precision == "bf16" ? run_bf16(chosen) : run_f16(chosen);
  } catch (mpx::error const& e) {
    std::fprintf(stderr, "numbers_to_words: %s\n", e.what());
    return 1;
  }
}
