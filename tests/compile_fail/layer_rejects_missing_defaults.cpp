// A layer that is not derived from mpx::layer_defaults, in a model that goes on to be planned.
// error: mpx::layer requires its author to inherit from mpx::layer_defaults, or to name all that it names
// fact: layers_only<[^,]*token_embedding<.*doubling
#include <mpx/model/cross_entropy.hpp>
#include <mpx/model/embedding.hpp>
#include <mpx/model/linear.hpp>
#include <mpx/model/sequential.hpp>
#include <mpx/plan/plan.hpp>

struct doubling {
  using takes = mpx::message<mpx::stream<"x", 8>>;
  using gives = takes;
  using parameters = boost::hana::tuple<>;
};
using model =
    mpx::sequential<mpx::token_embedding<5, 8, "inputs">, doubling, mpx::language_head<8, 5>, mpx::cross_entropy<5>>;
using run = mpx::recipe<mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>>;
constexpr auto& plan = mpx::plan_v<model, run>;
