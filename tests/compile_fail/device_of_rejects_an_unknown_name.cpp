// error: mpx::device_of requires its user to name a layer of the model in full
// fact: layer_named<[^"]*"encoder.layer.1"[^"]*nearest<[^"]*"encoder.layers.1"[^"]*"encoder.layers.0"[^"]*"decoder.layers.1"
#include <mpx/model/seq2seq.hpp>
#include <mpx/plan/plan.hpp>

using model = mpx::seq2seq<mpx::source_vocabulary<11>, mpx::target_vocabulary<13>, mpx::width<8>, mpx::heads<2>,
                           mpx::encoder_layers<2>, mpx::decoder_layers<2>>;
using run = mpx::recipe<mpx::microbatch_capacity<mpx::sequences<8>, mpx::source_tokens<4>, mpx::target_tokens<4>>>;
static_assert(mpx::device_of<model, run, "encoder.layer.1"> == mpx::host<0>{});
