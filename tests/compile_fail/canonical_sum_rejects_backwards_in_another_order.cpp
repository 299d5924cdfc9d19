// error: mpx::canonical_sum requires its schedule to run backwards in the order of the microbatches
// fact:  given_microbatches<4
#include <mpx/model/gpt2.hpp>
#include <mpx/plan/plan.hpp>

/// All forwards, then the backwards from the last to the first.
struct last_first {
  static constexpr std::size_t microbatches = 4;
  static constexpr std::size_t fewest_microbatches(int) { return 1; }
  static constexpr std::array<mpx::task, 8> tasks(int, int) {
    std::array<mpx::task, 8> list{};
    for (int m = 0; m < 4; ++m) {
      list[static_cast<std::size_t>(m)] = {mpx::work::forward, m};
      list[static_cast<std::size_t>(7 - m)] = {mpx::work::backward, m};
    }
    return list;
  }
};

using model = mpx::gpt2<mpx::vocabulary<64>, mpx::width<32>, mpx::heads<4>, mpx::layers<2>, mpx::context<16>>;
using recipe = mpx::recipe<last_first, mpx::canonical_sum, mpx::microbatch_capacity<mpx::sequences<1>, mpx::tokens<16>>>;
auto const& plan = mpx::plan_v<model, recipe>;
