// error: mpx::rotary requires heads to have an even number of columns
// fact: rotary_heads<12, 4, true>
#include <mpx/model/llama.hpp>

using attention = mpx::llama_block<12, 4, 32>::attention;
attention::takes stream;
