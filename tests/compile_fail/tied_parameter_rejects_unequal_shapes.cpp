// As many values, but the table is [8, 5] and the head's weight [5, 8].
// error: mpx::tied_parameter requires both parameters to have the same shape and layout
// fact: layer_named<[^"]*"head"
// fact: parameter_named<[^"]*"embedding.weight"
#include <mpx/model/cross_entropy.hpp>
#include <mpx/model/embedding.hpp>
#include <mpx/model/linear.hpp>
#include <mpx/model/sequential.hpp>
#include <mpx/plan/plan.hpp>

using model = mpx::sequential<mpx::token_embedding<8, 5, "inputs">, mpx::linear<5, 8>,
                              mpx::tied_language_head<8, 5, "embedding.weight">, mpx::cross_entropy<5>>;
using run = mpx::recipe<mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>>;
constexpr auto& plan = mpx::plan_v<model, run>;
