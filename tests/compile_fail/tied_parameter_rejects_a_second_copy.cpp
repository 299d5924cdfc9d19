// error: mpx::tied_parameter requires each parameter to be tied once
// fact: layer_named<[^"]*"head.1"
// fact: parameter_named<[^"]*"embedding.weight"
#include <mpx/model/cross_entropy.hpp>
#include <mpx/model/embedding.hpp>
#include <mpx/model/linear.hpp>
#include <mpx/model/sequential.hpp>
#include <mpx/plan/plan.hpp>

using square = mpx::tied_language_head<8, 8, "embedding.weight">;
using model = mpx::sequential<mpx::token_embedding<8, 8, "inputs">, square, square, mpx::cross_entropy<8>>;
using run = mpx::recipe<mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>>;
constexpr auto& plan = mpx::plan_v<model, run>;
