// A layer may share the embedding's table as the head does, but by its owner's name.
// error: mpx::tied_parameter requires its user to name the parameter that owns the values, not a copy
// fact: layer_named<[^"]*"table"
// fact: parameter_named<[^"]*"head.weight"
#include <mpx/model/cross_entropy.hpp>
#include <mpx/model/embedding.hpp>
#include <mpx/model/linear.hpp>
#include <mpx/model/sequential.hpp>
#include <mpx/plan/plan.hpp>

struct table : mpx::layer_defaults {
  using row_label = mpx::name<"table">;
  using takes = mpx::message<mpx::stream<"x", 8>>;
  using gives = takes;
  using parameters =
      boost::hana::tuple<mpx::tied_parameter<"weight", mpx::shape<8, 8>, "head.weight", mpx::sharded_outputs>>;
  static constexpr bool in_place = true;
};
using model = mpx::sequential<mpx::token_embedding<8, 8, "inputs">, table,
                              mpx::tied_language_head<8, 8, "embedding.weight">, mpx::cross_entropy<8>>;
using run = mpx::recipe<mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>>;
constexpr auto& plan = mpx::plan_v<model, run>;
