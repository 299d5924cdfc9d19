// error: mpx::seq2seq requires its user to give mpx::source_vocabulary<V>, mpx::target_vocabulary<V> and .*mpx::width<C>
// fact: seq2seq_options<11, 13, 0>
#include <mpx/model/seq2seq.hpp>

mpx::seq2seq<mpx::source_vocabulary<11>, mpx::target_vocabulary<13>, mpx::heads<4>> model;
