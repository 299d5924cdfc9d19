#include <mpx/model/cross_entropy.hpp>
#include <mpx/model/embedding.hpp>
#include <mpx/model/linear.hpp>
#include <mpx/plan/plan.hpp>

// error: mpx::recipe requires its model to have one loss: only its last layer gives nothing
// fact:  "loss.0"
using model =
    mpx::sequential<mpx::token_embedding<13, 8, "inputs">, mpx::language_head<8, 13>, mpx::cross_entropy<13>,
                    mpx::token_embedding<13, 8, "inputs">, mpx::language_head<8, 13>, mpx::cross_entropy<13>>;
using recipe = mpx::recipe<mpx::microbatch_capacity<mpx::sequences<2>, mpx::tokens<4>>>;
constexpr auto& plan = mpx::plan_v<model, recipe>;
