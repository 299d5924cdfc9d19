// error: mpx::tied_parameter requires its user to name a parameter of the model in full
// fact: layer_named<[^"]*"head"
// fact: parameter_named<[^"]*"embedding.table"[^"]*nearest<[^"]*"embedding.weight"
#include <mpx/model/cross_entropy.hpp>
#include <mpx/model/embedding.hpp>
#include <mpx/model/linear.hpp>
#include <mpx/model/sequential.hpp>
#include <mpx/plan/plan.hpp>

using model = mpx::sequential<mpx::token_embedding<5, 8, "inputs">, mpx::tied_language_head<8, 5, "embedding.table">,
                              mpx::cross_entropy<5>>;
using run = mpx::recipe<mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>>;
constexpr auto& plan = mpx::plan_v<model, run>;
