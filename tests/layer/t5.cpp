// A whole T5: one table with three holders, a bias by distance in each stack, heads apart from the width.
#include <mpx_test.hpp>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "laws/layer.hpp"

namespace {

using run = test::still_recipe<test::f64_only, mpx::place_evenly<3>>;
constexpr auto& plan = mpx::plan_v<test::small_t5, run>;

// The table's two copies, and a bias for two more encoder layers and one more decoder layer.
static_assert(plan.ties.size() == 2 + 2 + 1 && plan.layer_count == 11);
template <mpx::fixed_string Layer>
constexpr mpx::device home = mpx::device_of<test::small_t5, run, Layer>;
static_assert(home<"encoder.layers.0"> == mpx::host<0>{} && home<"decoder.layers.1"> == mpx::host<1>{});
static_assert(home<"encoder.embedding"> == mpx::host<0>{} && home<"decoder.head"> == mpx::host<2>{});
// One layer owns its bias, and has nobody to share it with.
using shallow = mpx::t5<mpx::vocabulary<13>, mpx::width<8>, mpx::encoder_layers<1>, mpx::decoder_layers<1>>;
static_assert(mpx::plan_v<shallow, run>.ties.size() == 2);
static_assert(mpx::device_of<shallow, run, "encoder.layers.0"> == mpx::host<0>{});

}  // namespace

TEST_CASE("the gradients of a t5 are the central differences", "[layer][t5]") {
  test::gradients_match<test::small_t5>(test::tiny_batch());
}

TEST_CASE("the gradients of a t5 are the central differences on three devices", "[layer][t5]") {
  test::gradients_match<test::small_t5, mpx::place_evenly<3>, 2>(test::tiny_batch());
}

TEST_CASE("t5's parameters have the names and first values that its authors give them", "[layer][t5]") {
  mpx::trainer<test::small_t5, mpx::recipe<mpx::microbatch_capacity<mpx::sequences<2>, mpx::tokens<8>,
                                                                    mpx::source_tokens<8>>>>
      trainer;
  std::vector<std::string> names;
  trainer.each_parameter([&](std::string const& name, auto const&) { names.push_back(name); });
  for (auto const* name : {"encoder.embedding.token.weight", "encoder.layers.0.attention.relative.weight",
                           "encoder.layers.2.attention.qkv.weight", "encoder.norm.norm.weight",
                           "decoder.layers.1.cross_attention.query.weight", "decoder.layers.1.mlp.down.weight"}) {
    INFO(name);
    CHECK(std::count(names.begin(), names.end(), name) == 1);
  }
  // Root mean square of the rows from `first` on: near 1 for tokens, 1 / sqrt(C) for keys, 1 / sqrt(C D) for queries.
  auto const size = [&](std::string const& name, std::size_t first, std::size_t count) {
    double sum = 0;
    for (std::size_t i = first; i < first + count; ++i) sum += std::pow(trainer.parameter(name)[i], 2);
    return std::sqrt(sum / static_cast<double>(count));
  };
  CHECK(size("encoder.embedding.token.weight", 0, 13 * 16) == Approx(1.0).epsilon(0.15));
  CHECK(size("encoder.layers.2.attention.qkv.weight", 0, 24 * 16) == Approx(1 / std::sqrt(16.0 * 12)).epsilon(0.15));
  CHECK(size("encoder.layers.2.attention.qkv.weight", 24 * 16, 48 * 16) == Approx(0.25).epsilon(0.15));
  CHECK(size("decoder.layers.1.cross_attention.query.weight", 0, 24 * 16) ==
        Approx(1 / std::sqrt(16.0 * 12)).epsilon(0.15));
  CHECK(size("decoder.layers.1.mlp.down.weight", 0, 16 * 24) == Approx(1 / std::sqrt(24.0)).epsilon(0.15));
}
