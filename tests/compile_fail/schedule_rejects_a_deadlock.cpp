// The first stage waits for the gradient of microbatch 1, the second one sends that of microbatch 0 first.
// error: mpx::pipeline_schedule requires its stages to reach their end, but their sends and receives deadlock
// fact: fault<[^>]*deadlock>
// fact: at_stage<0>
// fact: at_microbatch<1>
#include <mpx/model/cross_entropy.hpp>
#include <mpx/model/embedding.hpp>
#include <mpx/model/linear.hpp>
#include <mpx/model/sequential.hpp>
#include <mpx/plan/plan.hpp>

struct crossed {
  static constexpr std::size_t microbatches = 2;
  static constexpr std::size_t fewest_microbatches(int) { return 1; }
  static constexpr std::array<mpx::task, 4> tasks(int stage, int) {
    using enum mpx::work;
    if (stage == 0) return {{{forward, 0}, {forward, 1}, {backward, 1}, {backward, 0}}};
    return {{{forward, 0}, {forward, 1}, {backward, 0}, {backward, 1}}};
  }
};

using model = mpx::sequential<mpx::token_embedding<5, 8, "inputs">, mpx::language_head<8, 5>, mpx::cross_entropy<5>>;
using run = mpx::recipe<mpx::place_evenly<2>, crossed,
                        mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>>;
constexpr auto& plan = mpx::plan_v<model, run>;
