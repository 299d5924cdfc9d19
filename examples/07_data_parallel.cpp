// Two devices hold the whole model each, take half of every batch each, and sum their gradients. That sum cannot be
// forgotten: the gradients' type says whether it was taken, and the optimizer takes no others.
#include <mpx/mpx.hpp>

#include <cstdio>

using model = mpx::gpt2<mpx::vocabulary<256>, mpx::width<64>, mpx::heads<4>, mpx::layers<2>, mpx::context<32>>;

// A batch of 16 sequences: in one microbatch on one device, or 8 sequences on each of two.
template <std::size_t Ranks>
using recipe = mpx::recipe<mpx::mesh<mpx::data<Ranks>>, mpx::clip_by_global_norm, mpx::adamw,
                           mpx::microbatch_capacity<mpx::sequences<16 / Ranks>, mpx::tokens<32>>>;
template <std::size_t Ranks>
constexpr auto& plan = mpx::plan_v<model, recipe<Ranks>>;
template <std::size_t Ranks>
constexpr mpx::memory_use each = plan<Ranks>.memory_on(mpx::host<0>{});

// Activations are divided; weights, gradients and the optimizer's state are not.
static_assert(each<2>.activations.count <= each<1>.activations.count / 2 + 64);
static_assert(each<2>.master == each<1>.master && each<2>.optimizer == each<1>.optimizer);

// What it costs: once a step, whatever the batch, every gradient is summed.
static_assert(plan<1>.data_sum_bytes(0).count == 0 && plan<2>.data_sum_bytes(0) == each<2>.gradients);

// Or they divide the optimizer's state, and send each other the new weights. Not a bit of them differs.
using sharded = mpx::recipe<mpx::mesh<mpx::data<2>>, mpx::clip_by_global_norm, mpx::adamw, mpx::shard_optimizer,
                            mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<32>>>;
constexpr auto& divided = mpx::plan_v<model, sharded>;
static_assert(divided.memory_on(mpx::host<0>{}).optimizer * 3 < each<2>.optimizer * 2);  // slices are whole parameters here
static_assert(divided.data_gather_bytes(0) == each<2>.master);

int main() {
  mpx::trainer<model, recipe<1>> one{{.lr = {.peak = 3e-3f}}};
  mpx::trainer<model, recipe<2>> two{{.lr = {.peak = 3e-3f}}};
  mpx::trainer<model, sharded> slices{{.lr = {.peak = 3e-3f}}};
  std::string text;
  for (int i = 0; i < 20; ++i) text += "the quick brown fox jumps over the lazy dog; ";
  mpx::text_dataset const pangrams(text, 32, "pangrams");
  for (std::uint64_t step = 0; step < 40; ++step) {
    auto const batch = pangrams.random_windows(mpx::text_part::training, 16, 1, step);
    auto const a = one.step(batch), b = two.step(batch), c = slices.step(batch);
    // The same up to the order in which floating-point numbers were added; and with slices, that order too.
    if (b.step % 10 == 0)
      std::printf("step %2ld  loss %.6f on one device, %.6f on two, %s with slices\n", b.step, a.loss, b.loss,
                  c.loss == b.loss ? "the same" : "another");
  }
  return two.parameter("head.weight") == slices.parameter("head.weight") ? 0 : 1;
}
