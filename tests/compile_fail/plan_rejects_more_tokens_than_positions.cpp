// error: mpx::microbatch_capacity requires its tokens to be at most the context that positions are known for
// fact: layer_named<[^"]*"positions"
// fact: wanted_tokens<16>
#include <mpx/model/cross_entropy.hpp>
#include <mpx/model/embedding.hpp>
#include <mpx/model/linear.hpp>
#include <mpx/model/sequential.hpp>
#include <mpx/plan/plan.hpp>

using model = mpx::sequential<mpx::token_embedding<5, 8, "inputs">, mpx::learned_positions<12, 8>, mpx::language_head<8, 5>,
                              mpx::cross_entropy<5>>;
using run = mpx::recipe<mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>>;
constexpr auto& plan = mpx::plan_v<model, run>;
