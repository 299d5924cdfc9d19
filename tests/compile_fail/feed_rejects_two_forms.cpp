// One feed, padded where the loss reads it and not where the embedding does.
// error: mpx::feed requires layers that name the same feed to agree on its axis and its form
// fact: feed_named<[^"]*"targets"
#include <mpx/model/cross_entropy.hpp>
#include <mpx/model/embedding.hpp>
#include <mpx/model/linear.hpp>
#include <mpx/plan/plan.hpp>

using model = mpx::sequential<mpx::token_embedding<5, 8, "targets">, mpx::language_head<8, 5>, mpx::cross_entropy<5>>;
using recipe = mpx::recipe<mpx::microbatch_capacity<mpx::sequences<2>, mpx::tokens<4>>>;
constexpr auto& plan = mpx::plan_v<model, recipe>;
