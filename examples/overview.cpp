// Trains an encoder-decoder Transformer that reads "123" and says "one two three": encoder on one device, decoder on
// another. README.md shows this program.
#include <mpx/mpx.hpp>

#include <iostream>

using namespace mpx::literals;

// Structure is written as types ...
using model = mpx::seq2seq<mpx::source_vocabulary<11>, mpx::target_vocabulary<13>, mpx::width<128>, mpx::heads<4>,
                           mpx::feed_forward<512>, mpx::encoder_layers<2>, mpx::decoder_layers<2>, mpx::context<16>>;

using recipe = mpx::recipe<
    mpx::place_at<mpx::at<"encoder", mpx::host<0>>, mpx::at<"decoder", mpx::host<1>>>,  // which layer on which device
    mpx::one_f_one_b<mpx::microbatches<4>>,                                            // in which order stages work
    mpx::bf16_mixed, mpx::dynamic_loss_scaling,                                        // arithmetic; f32 master weights
    mpx::clip_by_global_norm, mpx::noam, mpx::adam,
    mpx::microbatch_capacity<mpx::sequences<8>, mpx::source_tokens<8>, mpx::target_tokens<8>>>;

static_assert(mpx::device_of<model, recipe, "encoder.layers.1"> == mpx::host<0>{});
static_assert(mpx::plan_v<model, recipe>.bytes_on(mpx::host<0>{}) < 64_MiB);

int main() {
  std::cout << mpx::plan_v<model, recipe>;  // stages, links, bytes, idle share: known before any run
  // ... and numbers are written as values.
  mpx::trainer<model, recipe> trainer{{.clipping = {.max_norm = 1.0f}, .lr = {.warmup = 400}, .seed = 42}};
  for (auto const& batch : mpx::numbers_to_words{}.batches(32)) std::cout << trainer.step(batch) << '\n';
}
