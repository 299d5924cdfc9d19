// error: mpx::place_by_cost requires at least as many layers as devices
// fact: layers_given<3
// fact: devices_given<4
#include <mpx/model/cross_entropy.hpp>
#include <mpx/model/embedding.hpp>
#include <mpx/model/linear.hpp>
#include <mpx/model/sequential.hpp>
#include <mpx/plan/plan.hpp>

using model = mpx::sequential<mpx::token_embedding<5, 8, "inputs">, mpx::language_head<8, 5>, mpx::cross_entropy<5>>;
using run = mpx::recipe<mpx::place_by_cost<4>, mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>>;
constexpr auto& plan = mpx::plan_v<model, run>;
