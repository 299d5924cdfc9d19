// A placement policy of the user's own that forgets the last layer.
// error: mpx::recipe requires its placement to place every layer on a device
// fact: layer_named<[^"]*"loss"
#include <mpx/model/cross_entropy.hpp>
#include <mpx/model/embedding.hpp>
#include <mpx/model/linear.hpp>
#include <mpx/model/sequential.hpp>
#include <mpx/plan/plan.hpp>

struct all_but_the_last {
  template <std::size_t N>
  static constexpr std::array<mpx::device, N> assign(std::array<mpx::layer_info, N> const&) {
    std::array<mpx::device, N> where{};
    for (std::size_t i = 0; i + 1 < N; ++i) where[i] = mpx::host<0>{};
    return where;
  }
};

using model = mpx::sequential<mpx::token_embedding<5, 8, "inputs">, mpx::language_head<8, 5>, mpx::cross_entropy<5>>;
using run = mpx::recipe<all_but_the_last, mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>>;
constexpr auto& plan = mpx::plan_v<model, run>;
