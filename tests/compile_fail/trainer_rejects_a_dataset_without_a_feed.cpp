// A text has no source side.
// error: mpx::trainer requires the data set to offer each feed that the model reads
// fact: feed_read<[^"]*"source"[^"]*feeds_offered<[^"]*"inputs"[^"]*"targets"[^"]*"target_lengths"
#include <mpx/mpx.hpp>

using model = mpx::seq2seq<mpx::source_vocabulary<256>, mpx::target_vocabulary<256>, mpx::width<8>, mpx::heads<2>>;
using run = mpx::recipe<mpx::microbatch_capacity<mpx::sequences<8>, mpx::source_tokens<4>, mpx::target_tokens<4>>>;

void train(mpx::trainer<model, run>& trainer, mpx::text_dataset const& text) {
  trainer.step(text.random_windows(mpx::text_part::training, 8, 1, 0));
}
