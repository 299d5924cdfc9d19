// error: mpx::device_of requires its user to name a layer of the model in full
// fact: layer_named<[^"]*"encoder.layers.7"
#include <mpx/model/cross_entropy.hpp>
#include <mpx/model/embedding.hpp>
#include <mpx/model/linear.hpp>
#include <mpx/model/sequential.hpp>
#include <mpx/plan/plan.hpp>

using model = mpx::sequential<mpx::token_embedding<5, 8, "inputs">, mpx::linear<8, 5>, mpx::cross_entropy<5>>;
using run = mpx::recipe<mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>>;
static_assert(mpx::device_of<model, run, "encoder.layers.7"> == mpx::host<0>{});
