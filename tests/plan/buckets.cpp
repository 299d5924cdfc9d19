// Mirrors include/mpx/plan/buckets.hpp.
#include <mpx/plan/buckets.hpp>

#include <cstddef>
#include <limits>
#include <vector>

#include <mpx/model/gpt2.hpp>
#include <mpx/plan/plan.hpp>

#include <mpx_test.hpp>

namespace {

using model = mpx::gpt2<mpx::vocabulary<61>, mpx::width<32>, mpx::heads<4>, mpx::layers<4>, mpx::context<16>>;
using recipe = mpx::recipe<mpx::place_evenly<2>, mpx::microbatch_capacity<mpx::sequences<1>, mpx::tokens<16>>>;
constexpr auto& plan = mpx::plan_v<model, recipe>;

std::vector<mpx::gradient_bucket> buckets(std::size_t stage, std::size_t least) {
  std::vector<mpx::gradient_bucket> out;
  mpx::each_bucket(plan.stages[stage], plan.places, plan.layers, least, [&](auto const& b) { out.push_back(b); });
  return out;
}

}  // namespace

static_assert(mpx::gradient_buckets<>::bucket == mpx::bytes{25u << 20});

TEST_CASE("buckets are all gradients of a stage, last layers first", "[plan][buckets]") {
  for (std::size_t s = 0; s < plan.stage_count; ++s)
    for (std::size_t const least : {1u, 5'000u, 20'000u, 1'000'000u}) {
      CAPTURE(s, least);
      auto const all = buckets(s, least);
      REQUIRE_FALSE(all.empty());
      std::size_t end = plan.stages[s].parameter_elements, layer = plan.stages[s].end;
      for (auto const& b : all) {
        CHECK(b.end == end);
        CHECK(b.end_layer == layer);
        CHECK(b.size() > 0);
        CHECK((b.size() >= least || b.begin == 0));
        CHECK(b.begin == plan.places[b.first_layer].parameter_offset);  // whole once this layer's backward is done
        end = b.begin;
        layer = b.first_layer;
      }
      CHECK(end == 0);
      if (least == 1'000'000) CHECK(all.size() == 1);
    }
}

TEST_CASE("a bucket is closed by the layer that fills it; layers without parameters stand in no bucket alone", "[plan][buckets]") {
  // Stage 1: a block of 12 704 elements, a norm, the tied head of 61 x 32, and the loss, which has none.
  auto const single = buckets(1, 1);
  REQUIRE(single.size() == 3);
  CHECK(single[0].size() == 61 * 32);
  CHECK(single[0].end_layer == plan.layer_count);
  CHECK(single[1].size() == 64);
  CHECK(single[2].size() == 12'704);
  auto const two = buckets(1, 61 * 32 + 1);
  REQUIRE(two.size() == 2);
  CHECK(two[0].size() == 61 * 32 + 64);
}
