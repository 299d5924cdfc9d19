// relu_dropout reads its output in backward; as a row of a model it has nobody that keeps it.
// error: mpx::layer requires a layer that reads its output in backward to stand in a block, before one that keeps it as its input
// fact: layer_named<[^"]*"up.activation"
#include <mpx/model/activation.hpp>
#include <mpx/model/cross_entropy.hpp>
#include <mpx/model/embedding.hpp>
#include <mpx/model/linear.hpp>
#include <mpx/model/sequential.hpp>
#include <mpx/plan/plan.hpp>

using model = mpx::sequential<mpx::token_embedding<5, 8, "inputs">, mpx::section<"up", mpx::linear<8, 8>, mpx::relu_dropout<8>>,
                              mpx::language_head<8, 5>, mpx::cross_entropy<5>>;
using run = mpx::recipe<mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>>;
constexpr auto& plan = mpx::plan_v<model, run>;
