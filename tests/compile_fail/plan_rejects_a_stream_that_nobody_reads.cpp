// Two embeddings of the same name: nobody reads what the first one writes.
// error: mpx::sequential requires each stream that a layer writes to be read by a later layer
// fact: layer_named<[^"]*"embedding.0"
// fact: stream_named<[^"]*"x"
// fact: produced_width<8>
#include <mpx/model/cross_entropy.hpp>
#include <mpx/model/embedding.hpp>
#include <mpx/model/linear.hpp>
#include <mpx/model/sequential.hpp>
#include <mpx/plan/plan.hpp>

using model = mpx::sequential<mpx::token_embedding<5, 8, "inputs">, mpx::token_embedding<5, 8, "inputs">, mpx::language_head<8, 5>,
                              mpx::cross_entropy<5>>;
using run = mpx::recipe<mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>>;
constexpr auto& plan = mpx::plan_v<model, run>;
