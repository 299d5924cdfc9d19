// error: mpx::attention requires its key/value heads to divide its heads
// fact: attention_key_value_heads<8, 3>
#include <mpx/model/attention.hpp>

mpx::self_attention<64, 8, true, mpx::axis::target, mpx::init::zeros, mpx::init::zeros, mpx::key_value_heads<3>> layer;
