// How long a step of GPT-2 small takes on one GPU, in bf16, from the batch in the host's memory to the updated weights.
//
//   build/bench/cuda_gpt2_step        median, quickest and slowest of 20 steps, after 5 that nobody times
#include <mpx/cuda.hpp>

#include <algorithm>
#include <cstdio>
#include <vector>

namespace {

constexpr int sequences = 16, tokens = 1024, vocabulary = 50257;
using model = mpx::gpt2<mpx::vocabulary<vocabulary>, mpx::width<768>, mpx::heads<12>, mpx::layers<12>, mpx::context<tokens>>;
using recipe = mpx::recipe<mpx::place_all<mpx::cuda<0>>, mpx::gpipe<mpx::microbatches<1>>, mpx::bf16_mixed,
                           mpx::clip_by_global_norm, mpx::constant_rate, mpx::adamw,
                           mpx::microbatch_capacity<mpx::sequences<sequences>, mpx::tokens<tokens>>>;

mpx::batch batch_of(std::uint32_t seed) {
  mpx::batch made{{sequences, {0, tokens}}, {}, "random"};
  std::vector<std::int32_t> ids, next;
  for (std::uint32_t i = 0; i < sequences * tokens; ++i) {
    ids.push_back(static_cast<std::int32_t>(mpx::philox({i, seed, 0, 0}, 1)[0] % vocabulary));
    next.push_back(static_cast<std::int32_t>(mpx::philox({i, seed, 1, 0}, 1)[0] % vocabulary));
  }
  made.columns.push_back({"inputs", mpx::axis::target, false, ids});
  made.columns.push_back({"targets", mpx::axis::target, false, next});
  made.columns.push_back({"target_lengths", mpx::axis::target, true, std::vector<std::int32_t>(sequences, tokens)});
  return made;
}

}  // namespace

int main() {
  mpx::cuda_trainer<model, recipe> trainer{{.clipping = {.max_norm = 1.0f}, .lr = {.peak = 1e-4f}, .seed = 1}};
  std::vector<double> seconds;
  for (int i = 0; i < 25; ++i) {
    auto const report = trainer.step(batch_of(static_cast<std::uint32_t>(i)));
    if (i == 0 || i == 24) std::printf("loss %.4f  norm %.3f\n", report.loss, static_cast<double>(report.gradient_norm));
    if (i >= 5) seconds.push_back(report.seconds);
  }
  std::sort(seconds.begin(), seconds.end());
  double const median = seconds[seconds.size() / 2];
  std::printf("gpt2 small, bf16, %d x %d tokens: median %.1f ms (%.1f to %.1f), %.0f tokens/s\n", sequences, tokens, 1e3 * median,
              1e3 * seconds.front(), 1e3 * seconds.back(), sequences * tokens / median);
}
