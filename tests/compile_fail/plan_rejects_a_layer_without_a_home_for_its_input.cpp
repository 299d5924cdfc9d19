// Its author forgot to say where the input lives: kept for backward, or overwritten by the output.
// error: mpx::layer requires each layer that takes a stream to keep its input or to work in place
// fact: layer_named<[^"]*"doubling"
#include <mpx/model/cross_entropy.hpp>
#include <mpx/model/embedding.hpp>
#include <mpx/model/linear.hpp>
#include <mpx/model/sequential.hpp>
#include <mpx/plan/plan.hpp>

struct doubling : mpx::layer_defaults {
  using row_label = mpx::name<"doubling">;
  using takes = mpx::message<mpx::stream<"x", 8>>;
  using gives = takes;
};
using model =
    mpx::sequential<mpx::token_embedding<5, 8, "inputs">, doubling, mpx::language_head<8, 5>, mpx::cross_entropy<5>>;
using run = mpx::recipe<mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>>;
constexpr auto& plan = mpx::plan_v<model, run>;
