// error: mpx::place_at requires each layer of the model to be named by a rule
// fact: layer_named<[^"]*"loss"
#include <mpx/model/cross_entropy.hpp>
#include <mpx/model/embedding.hpp>
#include <mpx/model/linear.hpp>
#include <mpx/model/sequential.hpp>
#include <mpx/plan/plan.hpp>

using model = mpx::sequential<mpx::token_embedding<5, 8, "inputs">, mpx::language_head<8, 5>, mpx::cross_entropy<5>>;
using run = mpx::recipe<mpx::place_at<mpx::at<"embedding", mpx::host<0>>, mpx::at<"head", mpx::host<1>>>,
                        mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>>;
constexpr auto& plan = mpx::plan_v<model, run>;
