// The second head may share the embedding's table, but by its owner's name.
// error: mpx::tied_parameter requires its user to name the parameter that owns the values, not a copy
// fact: layer_named<[^"]*"second.head"
// fact: parameter_named<[^"]*"first.head.weight"
#include <mpx/model/cross_entropy.hpp>
#include <mpx/model/embedding.hpp>
#include <mpx/model/linear.hpp>
#include <mpx/model/sequential.hpp>
#include <mpx/plan/plan.hpp>

using model = mpx::sequential<mpx::token_embedding<8, 8, "inputs">,
                              mpx::section<"first", mpx::tied_language_head<8, 8, "embedding.weight">>,
                              mpx::section<"second", mpx::tied_language_head<8, 8, "first.head.weight">>,
                              mpx::cross_entropy<8>>;
using run = mpx::recipe<mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>>;
constexpr auto& plan = mpx::plan_v<model, run>;
