// error: mpx::recipe requires its pipeline schedule to have at least the microbatches that it needs for its stages
// fact: given_microbatches<2
// fact: needed_microbatches<3
#include <mpx/model/cross_entropy.hpp>
#include <mpx/model/embedding.hpp>
#include <mpx/model/linear.hpp>
#include <mpx/model/sequential.hpp>
#include <mpx/plan/plan.hpp>

using model = mpx::sequential<mpx::token_embedding<5, 8, "inputs">, mpx::language_head<8, 5>, mpx::cross_entropy<5>>;
using run = mpx::recipe<mpx::place_evenly<3>, mpx::one_f_one_b<mpx::microbatches<2>>,
                        mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>>;
constexpr auto& plan = mpx::plan_v<model, run>;
