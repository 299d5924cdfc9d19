// error: mpx::language_head requires its weight to lie as its split says
// fact:  over_tensor
#include <mpx/model/linear.hpp>

// The head's outputs are divided among tensor ranks, this weight is not.
mpx::language_head<8, 16, mpx::parameter<"weight", mpx::shape<16, 8>, mpx::init::normal<20>>> head;
