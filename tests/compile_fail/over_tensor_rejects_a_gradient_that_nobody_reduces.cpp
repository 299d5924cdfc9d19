// error: mpx::over_tensor requires its spread to be invariant, sharded_0 or sharded_1
// fact:  replicated
#include <mpx/model/parameter.hpp>

// The same on each tensor rank, each with a part of the gradient: no rank would know the whole one.
mpx::parameter<"weight", mpx::shape<8>, mpx::init::ones, mpx::over_tensor<mpx::spread::replicated>> weight;
