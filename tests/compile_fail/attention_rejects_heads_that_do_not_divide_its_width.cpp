// error: mpx::attention requires its heads to divide its width
// fact: attention_heads<768, 7>
#include <mpx/model/transformer_block.hpp>

using block = mpx::transformer_block<mpx::width<768>, mpx::heads<7>>;
block::takes stream;
