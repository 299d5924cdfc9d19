// Divides every layer of one model among two devices: each has half of the heads, of the hidden columns and of the
// vocabulary. The model stays as it is; the recipe names a mesh.
#include <mpx/mpx.hpp>

#include <iostream>

using model = mpx::gpt2<mpx::vocabulary<256>, mpx::width<64>, mpx::heads<4>, mpx::layers<2>, mpx::context<32>>;
template <std::size_t Ranks>
using recipe = mpx::recipe<mpx::mesh<mpx::tensor<Ranks>>, mpx::bf16_mixed, mpx::adamw,
                           mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<32>>>;
template <std::size_t Ranks>
constexpr auto& plan = mpx::plan_v<model, recipe<Ranks>>;
template <std::size_t Ranks>
constexpr double mib_on_each = static_cast<double>(plan<Ranks>.bytes_on(mpx::host<0>{}).count) / (1 << 20);

// Whole on each rank stay the stream between layers, norms, positions, and biases that are added to a sum.
static_assert(plan<1>.parameters() == plan<2>.parameters());
static_assert(mib_on_each<2> < 0.65 * mib_on_each<1> && mib_on_each<4> < 0.65 * mib_on_each<2>);

// What it costs: sums over the ranks. Of the stream, 8 x 32 rows of 64 values: forward, one behind the embedding and
// two in each block; backward, two in each block and one before the head. In the loss, four f32 numbers for each row,
// which are all that its ranks tell each other: nobody ever holds logits of the whole vocabulary.
constexpr std::size_t stream_rows = 8 * 32, stream = stream_rows * 64 * sizeof(mpx::bf16);
static_assert(plan<1>.tensor_sum_bytes(0).count == 0);
static_assert(plan<2>.tensor_sum_bytes(0).count == (1 + 2 * 2 + 2 * 2 + 1) * stream + stream_rows * 4 * sizeof(float));

// The ranks may share the rows between sharded layers as well: one more word in the recipe, fewer activations kept.
using rows_too = mpx::recipe<mpx::mesh<mpx::tensor<2>>, mpx::sequence_parallel, mpx::bf16_mixed, mpx::adamw,
                             mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<32>>>;
static_assert(mpx::plan_v<model, rows_too>.memory_on(mpx::host<0>{}).activations <
              plan<2>.memory_on(mpx::host<0>{}).activations);

int main() {
  std::cout << plan<2> << '\n';
  mpx::trainer<model, recipe<2>> trainer{{.lr = {.peak = 3e-3f}, .dropout = 0.0f}};
  std::string text;
  for (int i = 0; i < 20; ++i) text += "the quick brown fox jumps over the lazy dog; ";
  mpx::text_dataset const pangrams(text, 32, "pangrams");
  for (std::uint64_t step = 0; step < 40; ++step) {
    auto const report = trainer.step(pangrams.random_windows(mpx::text_part::training, 8, 1, step));
    if (report.step % 10 == 0) std::cout << report << '\n';
  }
  // Slices are put together where somebody asks for a parameter.
  std::cout << "layers.0.mlp.up.weight: " << trainer.parameter("layers.0.mlp.up.weight").size()
            << " values, one half on each device\n";
}
