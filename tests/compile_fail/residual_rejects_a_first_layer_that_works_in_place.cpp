// Dropout overwrites its input, which the sum still needs.
// error: mpx::residual requires its first layer to keep its input
// fact: residual<mpx::dropout<8
#include <mpx/model/activation.hpp>
#include <mpx/model/linear.hpp>
#include <mpx/model/sequential.hpp>

mpx::residual<mpx::dropout<8>, mpx::linear<8, 8>> model;
