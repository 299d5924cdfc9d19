// The encoder reads source tokens, of which the capacity says nothing.
// error: mpx::microbatch_capacity requires its user to give sequences and the tokens of each axis that the model uses
// fact: layer_named<[^"]*"encoder.embedding"
#include <mpx/model/seq2seq.hpp>
#include <mpx/plan/plan.hpp>

using model = mpx::seq2seq<mpx::source_vocabulary<11>, mpx::target_vocabulary<13>, mpx::width<8>, mpx::heads<2>>;
using run = mpx::recipe<mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>>;
constexpr auto& plan = mpx::plan_v<model, run>;
