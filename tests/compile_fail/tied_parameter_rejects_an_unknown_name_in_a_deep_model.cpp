// Some 1500 names to choose from: compilers count their steps.
// error: mpx::tied_parameter requires its user to name a parameter of the model in full
// fact: parameter_named<[^"]*"layers.57.mlp.upp.weight"[^"]*nearest<[^"]*"layers.57.mlp.up.weight"
#include <mpx/model/gpt2.hpp>
#include <mpx/plan/plan.hpp>

using block = mpx::transformer_block<mpx::width<32>, mpx::heads<4>>;
using model =
    mpx::sequential<mpx::learned_embedding<61, 32, 16>, mpx::repeat<96, block>,
                    mpx::tied_language_head<32, 61, "layers.57.mlp.upp.weight">, mpx::cross_entropy<61>>;
using run = mpx::recipe<mpx::microbatch_capacity<mpx::sequences<2>, mpx::tokens<4>>>;
constexpr auto& plan = mpx::plan_v<model, run>;
