// error: mpx::t5 requires its user to give mpx::vocabulary<V> and mpx::width<C>
// fact: t5_options<0, 512>
#include <mpx/model/t5.hpp>

mpx::t5<mpx::width<512>, mpx::heads<8>> model;
