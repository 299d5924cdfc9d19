// One model on two devices under every pipeline schedule. Idle time and memory are known before a run, and differ; what is
// learned is the same to the last bit.
#include <mpx/mpx.hpp>

#include <cstdio>

using model = mpx::gpt2<mpx::vocabulary<256>, mpx::width<64>, mpx::heads<4>, mpx::layers<8>, mpx::context<32>>;
template <class Schedule>
using recipe = mpx::recipe<mpx::mesh<mpx::pipeline<2>>, Schedule, mpx::bf16_mixed, mpx::clip_by_global_norm, mpx::adamw,
                           mpx::microbatch_capacity<mpx::sequences<2>, mpx::tokens<32>>>;
template <class Schedule>
constexpr auto& plan = mpx::plan_v<model, recipe<Schedule>>;

using eight_parts = mpx::microbatches<8>;
using eager = mpx::one_f_one_b<eight_parts>;
using in_turn = mpx::interleaved<eight_parts, mpx::chunks<2>>;  // stages 0 1 0 1
using halved = mpx::zb_h1<eight_parts>;                         // gradients of weights come later, when there is time
using in_a_v = mpx::zb_v<eight_parts>;                          // the same, stages 0 1 1 0

static_assert(plan<in_turn>.idle_share() < plan<eager>.idle_share());
static_assert(plan<halved>.idle_share() < plan<eager>.idle_share());
static_assert(plan<in_a_v>.stages[0].where == plan<in_a_v>.stages[3].where);

/// Trains for 20 steps; the loss of the last one.
template <class Schedule>
double show(char const* name, mpx::text_dataset const& text) {
  mpx::trainer<model, recipe<Schedule>> trainer{{.lr = {.peak = 3e-3f}}};
  double loss = 0;
  for (std::uint64_t step = 0; step < 20; ++step)
    loss = trainer.step(text.random_windows(mpx::text_part::training, 16, 1, step)).loss;
  std::printf("%-12s idle %4.1f %%  %2zu forwards in flight on the first device  %7.1f KiB there  loss %.9f\n", name,
              100 * plan<Schedule>.idle_share(), plan<Schedule>.actions.in_flight(0),
              static_cast<double>(plan<Schedule>.bytes_on(mpx::host<0>{}).count) / 1024, loss);
  return loss;
}

int main() {
  std::string sentence;
  for (int i = 0; i < 20; ++i) sentence += "the quick brown fox jumps over the lazy dog; ";
  mpx::text_dataset const text(sentence, 32, "pangrams");
  double const loss = show<mpx::gpipe<eight_parts>>("gpipe", text);
  bool const same = show<eager>("1F1B", text) == loss && show<in_turn>("interleaved", text) == loss &&
                    show<halved>("zb_h1", text) == loss && show<in_a_v>("zb_v", text) == loss;
  std::printf("%s\n", same ? "the same loss, bit for bit" : "losses differ");
  return same ? 0 : 1;
}
