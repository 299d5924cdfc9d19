// Mirrors include/mpx/plan/verify.hpp: its questions, asked softly. What is said where one does not hold is in
// tests/compile_fail.
#include <mpx/plan/verify.hpp>

#include <models.hpp>
#include <mpx_test.hpp>

namespace {

using model = mpx::sequential<mpx::token_embedding<8, 8, "inputs">, mpx::learned_positions<12, 8>, mpx::linear<8, 8>,
                              mpx::tied_language_head<8, 8, "embedding.weight">, mpx::cross_entropy<8>>;
template <std::size_t Tokens, class... Policies>
using run = mpx::recipe<mpx::microbatch_capacity<mpx::sequences<2>, mpx::tokens<Tokens>>, Policies...>;
template <class Model, class Recipe>
using fault_of = mpx::detail::fault_of<Model, Recipe>;
using mpx::detail::no_fault;

using wrong_tie = mpx::sequential<mpx::token_embedding<8, 8, "inputs">, mpx::tied_language_head<8, 8, "embedding.bias">,
                                  mpx::cross_entropy<8>>;

}  // namespace

static_assert(mpx::detail::verified<model, run<12>>::sound);
static_assert(mpx::detail::verified<test::small_gpt2, run<16>>::sound);

static_assert(mpx::detail::positions_are_known<model, run<12>>::holds);
static_assert(!mpx::detail::positions_are_known<model, run<13>>::holds);
static_assert(mpx::detail::positions_are_known<model, run<13>>::row == 1);

static_assert(mpx::detail::capacity_is_known<model, run<12>>::holds);
static_assert(!mpx::detail::capacity_is_known<model, mpx::recipe<mpx::microbatch_capacity<mpx::tokens<12>>>>::holds);
static_assert(!mpx::detail::capacity_is_known<test::small_seq2seq, run<12>>::holds);

static_assert(mpx::detail::ties_hold<model, run<12>>::holds && !mpx::detail::ties_hold<wrong_tie, run<12>>::holds);
static_assert(mpx::detail::ties_hold<wrong_tie, run<12>>::text() == "embedding.bias");

static_assert(mpx::detail::devices_have_layers<model, run<12>>::holds);  // place_all asks for none in particular
static_assert(mpx::detail::devices_have_layers<model, run<12, mpx::place_evenly<5>>>::holds);
static_assert(!mpx::detail::devices_have_layers<model, run<12, mpx::place_evenly<6>>>::holds);

static_assert(mpx::detail::microbatches_suffice<model, run<12, mpx::place_evenly<3>>>::holds);  // gpipe
static_assert(!mpx::detail::microbatches_suffice<model, run<12, mpx::place_evenly<3>, mpx::one_f_one_b<mpx::microbatches<2>>>>::holds);
static_assert(mpx::detail::schedule_ends<model, run<12, mpx::place_evenly<3>, mpx::one_f_one_b<mpx::microbatches<3>>>>::holds);

using two_each = mpx::interleaved<mpx::microbatches<4>, mpx::chunks<2>>;
static_assert(mpx::detail::chunks_fit<model, run<12, mpx::place_evenly<3>>>::holds);  // gpipe leaves it to the placement
static_assert(mpx::detail::chunks_fit<model, run<12, two_each, mpx::place_evenly<2>>>::holds);
static_assert(!mpx::detail::chunks_fit<model, run<12, two_each, mpx::place_evenly<3>>>::holds);  // five layers, six runs
static_assert(!mpx::detail::chunks_fit<model, run<12, two_each>>::holds);                        // all on one device
static_assert(mpx::detail::gradients_fold<model, run<12, two_each, mpx::place_evenly<2>, mpx::canonical_sum>>::holds);

TEST_CASE("the first question without a yes is the one that is reported", "[plan][verify]") {
  using too_long = run<13>;
  CHECK(std::is_same_v<fault_of<model, run<12>>, no_fault>);
  CHECK(std::is_same_v<fault_of<model, too_long>, mpx::detail::positions_are_known<model, too_long>>);
  // Two faults, and the first of them.
  using also_unplaced = run<13, mpx::place_at<mpx::at<"linear", mpx::host<0>>>>;
  CHECK(std::is_same_v<fault_of<model, also_unplaced>, mpx::detail::positions_are_known<model, also_unplaced>>);
  using unplaced = run<12, mpx::place_at<mpx::at<"linear", mpx::host<0>>>>;
  CHECK(std::is_same_v<fault_of<model, unplaced>, mpx::detail::layers_are_placed<model, unplaced>>);
  CHECK(mpx::detail::layers_are_placed<model, unplaced>::row == 0);
}

TEST_CASE("a parameter's full name is its layer's and its own", "[plan][verify]") {
  mpx::layer_name const layer{"layers", 3};
  CHECK(mpx::detail::is_parameter("layers.3.mlp.up.weight", layer, "mlp.up.weight"));
  CHECK_FALSE(mpx::detail::is_parameter("layers.3.mlp.up.weight", layer, "up.weight"));
  CHECK_FALSE(mpx::detail::is_parameter("layers.3.mlp.up.weight", {"layers", 4}, "mlp.up.weight"));
  CHECK_FALSE(mpx::detail::is_parameter("weight", layer, "weight"));
}
