// Cross-attention without an encoder: nobody writes "memory".
// error: mpx::sequential requires each stream that a layer reads to be written before it with the same shape
// fact: layer_named<[^"]*"cross_attention"
// fact: stream_named<[^"]*"memory"
// fact: wanted_width<8>
// fact: produced_width<0>
#include <mpx/model/attention.hpp>
#include <mpx/model/cross_entropy.hpp>
#include <mpx/model/embedding.hpp>
#include <mpx/model/linear.hpp>
#include <mpx/model/sequential.hpp>
#include <mpx/plan/plan.hpp>

using model = mpx::sequential<mpx::token_embedding<5, 8, "inputs">, mpx::cross_attention<8, 2>, mpx::language_head<8, 5>,
                              mpx::cross_entropy<5>>;
using run = mpx::recipe<mpx::microbatch_capacity<mpx::sequences<8>, mpx::source_tokens<4>, mpx::target_tokens<16>>>;
constexpr auto& plan = mpx::plan_v<model, run>;
