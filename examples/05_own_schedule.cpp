// Writes a pipeline schedule of its own. The compiler proves that it runs every forward once and then its backward, and
// that no two devices wait for each other; the program prints its idle share beside that of mpx's own, and trains.
#include <mpx/mpx.hpp>

#include <cstdio>

/// Waves of `Wave` microbatches: all of them forward, then all of them backward, then the next wave. Keeps no more than
/// one wave's activations, and is idle between waves. Sends and receives follow from the order of tasks.
template <std::size_t M, std::size_t Wave>
struct waves {
  static_assert(M % Wave == 0, "waves requires its wave to divide its microbatches");
  static constexpr std::size_t microbatches = M;
  static constexpr std::size_t fewest_microbatches(int) { return Wave; }
  static constexpr std::array<mpx::task, 2 * M> tasks(int /*stage*/, int /*stages*/) {
    std::array<mpx::task, 2 * M> list{};
    std::size_t n = 0;
    for (std::size_t first = 0; first < M; first += Wave)
      for (auto kind : {mpx::work::forward, mpx::work::backward})
        for (std::size_t i = 0; i < Wave; ++i) list[n++] = {kind, static_cast<int>(first + i)};
    return list;
  }
};

using model = mpx::seq2seq<mpx::source_vocabulary<11>, mpx::target_vocabulary<13>, mpx::width<64>, mpx::heads<4>,
                           mpx::feed_forward<128>, mpx::encoder_layers<2>, mpx::decoder_layers<2>, mpx::context<16>>;
template <class Schedule>
using run = mpx::recipe<mpx::place_at<mpx::at<"encoder", mpx::host<0>>, mpx::at<"decoder", mpx::host<1>>>, Schedule,
                        mpx::noam,
                        mpx::microbatch_capacity<mpx::sequences<8>, mpx::source_tokens<8>, mpx::target_tokens<8>>>;
template <class Schedule>
constexpr auto& plan = mpx::plan_v<model, run<Schedule>>;

using mine = waves<8, 4>;
using all_at_once = mpx::gpipe<mpx::microbatches<8>>;
using one_by_one = mpx::one_f_one_b<mpx::microbatches<8>>;
static_assert(plan<mine>.stages[0].slots == 4 && plan<all_at_once>.stages[0].slots == 8);
static_assert(plan<mine>.idle_share() > plan<one_by_one>.idle_share());

template <class Schedule>
void show(char const* name) {
  double const kib = static_cast<double>(plan<Schedule>.bytes_on(mpx::host<0>{}).count) / 1024;
  std::printf("%-12s idle %4.1f %% of the devices' time, %7.1f KiB on the first device\n", name,
              100 * plan<Schedule>.idle_share(), kib);
}

int main() {
  show<all_at_once>("gpipe");
  show<one_by_one>("1F1B");
  show<mine>("waves of 4");
  mpx::trainer<model, run<mine>> trainer{{.lr = {.factor = 0.2f, .warmup = 30}}};
  for (unsigned epoch = 0; epoch < 4; ++epoch) {
    double loss = 0, tokens = 0;
    for (auto const& batch : mpx::numbers_to_words{}.batches(64, 1, epoch)) {
      auto const report = trainer.step(batch);
      loss += report.loss * static_cast<double>(report.tokens);
      tokens += static_cast<double>(report.tokens);
    }
    std::printf("epoch %u  loss %.4f\n", epoch + 1, loss / tokens);
  }
}
