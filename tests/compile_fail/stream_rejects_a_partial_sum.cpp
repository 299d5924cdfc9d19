// error: mpx::stream requires its spread over tensor ranks to be invariant or sharded_1
// fact:  partial
#include <mpx/model/stream.hpp>

mpx::stream<"x", 8, mpx::axis::target, mpx::spread::partial> stream;
