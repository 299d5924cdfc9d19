#include <mpx/model/attention.hpp>

// error: mpx::attention requires its heads to have at most 256 columns
// fact: attention_head_width<512>
mpx::self_attention<1024, 2, true> layer;
