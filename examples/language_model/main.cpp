// A byte-level GPT-2 on any text: training and validation loss, then a sample.
//
//   language_model                        train on mpx's own documentation
//   language_model FILE                   train on FILE
//   language_model FILE --prompt "Once"   and begin the sample with a prompt
#include <mpx/mpx.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

using model = mpx::gpt2<mpx::vocabulary<256>, mpx::width<128>, mpx::heads<4>, mpx::layers<4>, mpx::context<128>>;
using placement =
    mpx::place_at<mpx::at<"embedding", mpx::host<0>>, mpx::at<"layers.0", mpx::host<0>>, mpx::at<"layers.1", mpx::host<0>>,
                  mpx::at<"layers.2", mpx::host<1>>, mpx::at<"layers.3", mpx::host<1>>, mpx::at<"norm", mpx::host<1>>,
                  mpx::at<"head", mpx::host<1>>, mpx::at<"loss", mpx::host<1>>>;
using recipe = mpx::recipe<placement, mpx::one_f_one_b<mpx::microbatches<4>>, mpx::bf16_mixed, mpx::clip_by_global_norm,
                           mpx::warmup_cosine, mpx::adamw, mpx::microbatch_capacity<mpx::sequences<4>, mpx::tokens<128>>>;

// A file, or all Markdown files of a directory one after the other.
mpx::text_dataset read(std::string const& path) {
  if (!std::filesystem::is_directory(path)) return mpx::text_dataset::read(path, 128);
  std::vector<std::filesystem::path> files;
  for (auto const& entry : std::filesystem::directory_iterator(path))
    if (entry.path().extension() == ".md") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::string text;
  for (auto const& file : files) {
    std::ifstream in(file, std::ios::binary);
    text.append(std::istreambuf_iterator<char>(in), {});
  }
  return {std::move(text), 128, path};
}

int main(int argc, char** argv) {
  std::string path = MPX_DOCS_DIR, prompt = "\n";
  long steps = 1000;
  std::size_t batch = 16, length = 200;
  std::uint64_t seed = 1;
  float temperature = 0.8f;
  CLI::App app{"Trains a byte-level GPT-2 on a text file"};
  app.add_option("text", path, "a file, or a directory of Markdown files")->capture_default_str();
  app.add_option("--steps", steps, "optimizer steps")->check(CLI::Range(1, 1000000))->capture_default_str();
  app.add_option("--batch", batch, "windows of 128 bytes in a batch")->check(CLI::Range(1, 16))->capture_default_str();
  app.add_option("--seed", seed, "of first values, dropout, windows and the sample")->capture_default_str();
  app.add_option("--prompt", prompt, "what the sample begins with");
  app.add_option("--length", length, "bytes to sample")->capture_default_str();
  app.add_option("--temperature", temperature, "of the sample")->check(CLI::Range(0.01, 10.0))->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    if (prompt.empty()) throw mpx::error({"empty prompt", "--prompt", "at least one byte", "none"});
    auto const text = read(path);
    auto const validation = text.random_windows(mpx::text_part::validation, 16, seed, 0);
    std::cout << mpx::plan_v<model, recipe> << '\n';

    mpx::trainer<model, recipe> trainer{
        {.lr = {.peak = 3e-3f, .warmup = steps / 10 + 1, .total = steps + 1, .floor = 3e-4f}, .seed = seed, .dropout = 0.0f}};
    double loss = 0;
    double const before = trainer.evaluate(validation);
    {
      mpx::progress line;
      for (long s = 0; s < steps; ++s) {
        auto const report = trainer.step(text.random_windows(mpx::text_part::training, batch, seed, static_cast<std::uint64_t>(s)));
        loss = s == 0 ? report.loss : 0.9 * loss + 0.1 * report.loss;
        line.show({.step = static_cast<std::size_t>(s) + 1, .steps = static_cast<std::size_t>(steps), .loss = loss,
                   .tokens_per_second = report.tokens_per_second(), .learning_rate = report.learning_rate,
                   .gradient_norm = report.gradient_norm});
      }
    }
    std::printf("\n  validation loss, nats a byte: %.3f before, %.3f after; training loss (running mean) %.3f\n\n", before,
                trainer.evaluate(validation), loss);
    std::vector<std::int32_t> ids;
    for (unsigned char c : prompt) ids.push_back(c);
    for (auto id : mpx::continue_text(trainer, ids, length, temperature, seed)) std::putchar(id);
    std::putchar('\n');
  } catch (mpx::error const& e) {
    std::fprintf(stderr, "language_model: %s\n", e.what());
    return 1;
  }
}
