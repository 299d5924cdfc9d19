// error: mpx::seq2seq requires its user to give mpx::source_vocabulary<V>, mpx::target_vocabulary<V> and .*mpx::width<C>
// fact: seq2seq_options<0, 13, 32>
#include <mpx/model/seq2seq.hpp>

mpx::seq2seq<mpx::target_vocabulary<13>, mpx::width<32>, mpx::heads<4>, mpx::encoder_layers<2>, mpx::decoder_layers<2>> model;
