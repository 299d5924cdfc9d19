// An embedding of lengths: pairs have one for each sequence, not one for each token.
// error: mpx::trainer requires the data set to offer each feed that the model reads
// fact: feed_read<[^"]*"source_lengths"
#include <mpx/mpx.hpp>

using model = mpx::sequential<mpx::token_embedding<5, 8, "source_lengths">, mpx::language_head<8, 13>,
                              mpx::cross_entropy<13>>;
using run = mpx::recipe<mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<4>>>;

double measure(mpx::trainer<model, run>& trainer) { return trainer.evaluate(mpx::numbers_to_words{}.batches(8)[0]); }
