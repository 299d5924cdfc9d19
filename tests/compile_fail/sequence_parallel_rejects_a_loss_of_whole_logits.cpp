// error: mpx::sequence_parallel requires its loss to take slices of the vocabulary: mpx::cross_entropy<V> behind mpx::language_head
// fact:  layer_named<[^,]*loss
#include <mpx/model/gpt2.hpp>
#include <mpx/plan/plan.hpp>

using model = mpx::sequential<mpx::token_embedding<8, 8, "inputs">, mpx::linear<8, 8>, mpx::cross_entropy<8, mpx::spread::invariant>>;
using recipe = mpx::recipe<mpx::mesh<mpx::tensor<2>>, mpx::sequence_parallel,
                           mpx::microbatch_capacity<mpx::sequences<1>, mpx::tokens<16>>>;
auto const& plan = mpx::plan_v<model, recipe>;
