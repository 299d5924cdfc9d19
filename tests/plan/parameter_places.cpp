// Mirrors include/mpx/plan/parameter_places.hpp.
#include <mpx/plan/parameter_places.hpp>

#include <cstddef>
#include <vector>

#include <mpx/model/linear.hpp>
#include <mpx/model/published.hpp>
#include <mpx/plan/plan.hpp>
#include <models.hpp>

#include <mpx_test.hpp>

namespace {

template <class... Policies>
using run = mpx::recipe<mpx::microbatch_capacity<mpx::sequences<2>, mpx::source_tokens<8>, mpx::target_tokens<8>>, mpx::adam, Policies...>;
template <class Model, class... Policies>
constexpr auto& places = mpx::parameter_places_v<Model, run<Policies...>>;

// --- gpt2: embedding, two blocks, norm, tied head, loss ----------------------------------------------------------------
constexpr std::size_t table = 61 * 32, head = 4;
constexpr auto& together = places<test::small_gpt2>;
static_assert(together[head].shares_weights && together[head].weights_stage == 0 && together[head].weights_offset == 0);
static_assert(!places<test::small_gpt2, mpx::place_evenly<2>>[head].shares_weights);
static_assert(places<test::small_gpt2, mpx::place_evenly<2>>[head].weights_stage == 1);

// What the head shares is left out once, for weights, master and states; its gradient is there.
constexpr auto& plan = mpx::plan_v<test::small_gpt2, run<mpx::bf16_mixed>>;
static_assert(plan.stages[0].parameter_elements == plan.stages[0].weight_elements + table);
static_assert(plan.stages[0].weights.size == 2 * plan.stages[0].weight_elements);
static_assert(plan.stages[0].master.size == 4 * plan.stages[0].weight_elements);
static_assert(plan.stages[0].states.size == 2 * plan.stages[0].master.size);
static_assert(plan.stages[0].gradients.size == 4 * plan.stages[0].parameter_elements);

// GPT-2 124M in bf16 with adam, on one device: for each parameter a bf16 number and four f32 ones, and the head's gradient.
constexpr auto& gpt2 = mpx::plan_v<mpx::gpt2_124m, run<mpx::bf16_mixed>>;
constexpr auto use = gpt2.memory_on(mpx::host<0>{});
static_assert((use.weights + use.master + use.optimizer + use.gradients).count == 18 * 124'439'808ull + 4 * 50257 * 768ull);

// --- an embedding and a head on one device, blocks on another: two stages of the first share across ---------------------
using there_and_back = mpx::place_at<mpx::at<"embedding", mpx::host<0>>, mpx::at<"layers", mpx::host<1>>,
                                     mpx::at<"norm", mpx::host<0>>, mpx::at<"head", mpx::host<0>>, mpx::at<"loss", mpx::host<0>>>;
constexpr auto& across = places<test::small_gpt2, there_and_back>;
static_assert(across[head].shares_weights && across[head].weights_stage == 0 && across[head].weights_offset == 0);
static_assert(across[head].parameter_offset == 64);  // behind the norm's

// --- copies without their owner: the first on a device holds the values for the others ----------------------------------
using copy = mpx::language_head<13, 13, mpx::tied_parameter<"weight", mpx::shape<13, 13>, "linear.weight">, false, mpx::whole>;
using copies = mpx::sequential<mpx::token_embedding<13, 13, "inputs">, mpx::linear<13, 13>, copy, mpx::layer_norm<13>, copy,
                               mpx::layer_norm<13>, copy, mpx::cross_entropy<13, mpx::spread::invariant>>;
using last_three = mpx::place_at<mpx::at<"embedding", mpx::host<0>>, mpx::at<"linear", mpx::host<0>>, mpx::at<"head.0", mpx::host<1>>,
                                 mpx::at<"norm", mpx::host<1>>, mpx::at<"head.1", mpx::host<1>>, mpx::at<"head.2", mpx::host<1>>,
                                 mpx::at<"loss", mpx::host<1>>>;
constexpr auto& apart = places<copies, last_three>;
static_assert(!apart[2].shares_weights && apart[4].shares_weights && apart[6].shares_weights);
static_assert(apart[4].weights_stage == 1 && apart[4].weights_offset == apart[2].parameter_offset);
static_assert(apart[6].weights_offset == apart[2].parameter_offset);
constexpr auto& one_device = places<copies>;
static_assert(one_device[2].shares_weights && one_device[4].weights_offset == one_device[1].parameter_offset);

// A layer with other parameters beside the copy keeps it.
using t5 = mpx::t5<mpx::vocabulary<96>, mpx::width<32>, mpx::heads<4>, mpx::feed_forward<64>>;

}  // namespace

TEST_CASE("layers of a stage stand one behind the other, those that share weights last", "[plan][parameter_places]") {
  auto const check = [](auto const& plan) {
    for (auto const& stage : plan.stages) {
      std::size_t end = 0;
      for (bool const shares : {false, true}) {
        for (std::size_t r = stage.first; r < stage.end; ++r) {
          if (plan.places[r].shares_weights != shares) continue;
          CHECK(plan.places[r].parameter_offset == end);
          end += plan.layers[r].parameter_elements;
        }
        CHECK(end == (shares ? stage.parameter_elements : stage.weight_elements));
      }
    }
  };
  check(plan);
  check(mpx::plan_v<copies, run<>>);
  check(mpx::plan_v<copies, run<last_three>>);
  check(mpx::plan_v<test::small_gpt2, run<there_and_back>>);
}

TEST_CASE("a block that has a copy among its parameters keeps it; tables that stand alone are shared", "[plan][parameter_places]") {
  constexpr auto& plan = mpx::plan_v<t5, run<>>;
  std::size_t shared = 0;
  for (auto const& t : plan.ties) {
    CAPTURE(plan.layers[t.copy_layer].name.text());
    bool const alone = plan.layers[t.copy_layer].parameter_elements == 96 * 32;
    CHECK(plan.places[t.copy_layer].shares_weights == alone);
    shared += alone;
  }
  CHECK(plan.ties.size() > shared);
  CHECK(shared > 0);
}
