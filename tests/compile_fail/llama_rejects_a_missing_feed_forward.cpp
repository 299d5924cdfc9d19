// error: mpx::llama requires its user to give mpx::vocabulary<V>, mpx::width<C> and mpx::feed_forward<F>
// fact: llama_options<61, 64, 0>
#include <mpx/model/llama.hpp>

mpx::llama<mpx::vocabulary<61>, mpx::width<64>, mpx::heads<4>> model;
