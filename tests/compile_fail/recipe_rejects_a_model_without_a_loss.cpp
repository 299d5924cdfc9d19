#include <mpx/model/embedding.hpp>
#include <mpx/model/linear.hpp>
#include <mpx/plan/plan.hpp>

// error: mpx::recipe requires its model to end in a loss: a last layer that gives nothing
// fact: layer_named<[^"]*"head"
using model = mpx::sequential<mpx::token_embedding<13, 8, "inputs">, mpx::language_head<8, 13>>;
using recipe = mpx::recipe<mpx::microbatch_capacity<mpx::sequences<2>, mpx::tokens<4>>>;
constexpr auto& plan = mpx::plan_v<model, recipe>;
