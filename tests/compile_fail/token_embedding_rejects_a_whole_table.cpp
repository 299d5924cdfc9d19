// error: mpx::token_embedding requires its table to be mpx::sharded_outputs
// fact:  over_tensor
#include <mpx/model/embedding.hpp>

using whole_table = mpx::parameter<"weight", mpx::shape<64, 8>, mpx::init::unit_rows>;
mpx::token_embedding<64, 8, "inputs", mpx::axis::target, false, mpx::init::unit_rows, whole_table> embedding;
