// error: mpx::attention requires its heads to divide its width
// fact: attention_heads<768, 7>
#include <mpx/model/attention.hpp>

mpx::self_attention<768, 7, true> layer;
