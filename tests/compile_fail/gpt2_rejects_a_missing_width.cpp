// error: mpx::gpt2 requires its user to give mpx::vocabulary<V> and mpx::width<C>
// fact: gpt2_options<61, 0>
#include <mpx/model/gpt2.hpp>

mpx::gpt2<mpx::vocabulary<61>, mpx::heads<4>> model;
