// Mirrors include/mpx/policy/recipe.hpp. What it refuses is in tests/compile_fail/recipe_*.
#include <mpx/policy/recipe.hpp>

#include <type_traits>

#include <mpx_test.hpp>

namespace {

using capacity = mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>;
using least = mpx::recipe<capacity>;
using full = mpx::recipe<mpx::adamw, mpx::warmup_cosine, mpx::clip_by_value, mpx::dynamic_loss_scaling, mpx::f16_mixed,
                         mpx::one_f_one_b<mpx::microbatches<4>>, mpx::place_evenly<2>, capacity>;

// A user's own policies, told apart by what they offer.
struct halving_clip {
  float scale(float norm) const { return norm > 1.0f ? 0.5f : 1.0f; }
};
struct slow {
  float rate(long) const { return 1e-6f; }
};
using own = mpx::recipe<slow, halving_clip, capacity>;

}  // namespace

static_assert(std::is_same_v<least::placement, mpx::place_all<>>);
static_assert(std::is_same_v<least::schedule, mpx::gpipe<mpx::microbatches<1>>>);
static_assert(std::is_same_v<least::precision, mpx::f32_only>);
static_assert(std::is_same_v<least::loss_scaling, mpx::no_loss_scaling>);
static_assert(std::is_same_v<least::clipping, mpx::no_clipping>);
static_assert(std::is_same_v<least::lr, mpx::constant_rate>);
static_assert(std::is_same_v<least::optimizer, mpx::adam>);
static_assert(std::is_same_v<least::gradient_sum, mpx::sum_in_order>);
static_assert(std::is_same_v<least::buckets, mpx::gradient_buckets<mpx::bytes{25u << 20}>>);
static_assert(std::is_same_v<least::sharding, mpx::replicate_optimizer> && !least::divides_optimizer);
static_assert(std::is_same_v<mpx::recipe<capacity, mpx::shard_gradients>::gradient_sum, mpx::sum_each_microbatch>);
static_assert(std::is_same_v<mpx::recipe<capacity, mpx::canonical_sum, mpx::shard_gradients>::gradient_sum, mpx::canonical_sum>);
// Data ranks divide the optimizer's state where there are several of them.
static_assert(!mpx::recipe<capacity, mpx::shard_optimizer>::divides_optimizer);
static_assert(mpx::recipe<capacity, mpx::shard_optimizer, mpx::mesh<mpx::data<2>>>::divides_optimizer);

// The order of arguments does not matter.
static_assert(std::is_same_v<full::placement, mpx::place_evenly<2>>);
static_assert(std::is_same_v<full::schedule, mpx::one_f_one_b<mpx::microbatches<4>>>);
static_assert(std::is_same_v<full::precision, mpx::f16_mixed>);
static_assert(std::is_same_v<full::loss_scaling, mpx::dynamic_loss_scaling>);
static_assert(std::is_same_v<full::clipping, mpx::clip_by_value>);
static_assert(std::is_same_v<full::lr, mpx::warmup_cosine>);
static_assert(std::is_same_v<full::optimizer, mpx::adamw>);

static_assert(std::is_same_v<own::clipping, halving_clip> && std::is_same_v<own::lr, slow>);

static_assert(capacity::capacity.sequences == 8);
static_assert(capacity::capacity.tokens[0] == 0 && capacity::capacity.tokens[1] == 16);
static_assert(mpx::microbatch_capacity<mpx::source_tokens<5>, mpx::sequences<3>>::capacity.tokens[0] == 5);

// Tensor ranks divide rows where the recipe says so and there are some.
namespace {

template <class... Policies>
constexpr mpx::spread rows_of = mpx::recipe<Policies..., mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>>::capacity.rows_over_tensor;

}  // namespace

static_assert(std::is_same_v<least::rows, mpx::whole_rows>);
static_assert(rows_of<mpx::mesh<mpx::tensor<2>>, mpx::sequence_parallel> == mpx::spread::sharded_0);
static_assert(rows_of<mpx::mesh<mpx::tensor<2>>> == mpx::spread::invariant);
static_assert(rows_of<mpx::mesh<mpx::data<2>>, mpx::sequence_parallel> == mpx::spread::invariant);

TEST_CASE("settings are the policies' numbers, by name", "[policy][recipe]") {
  full::settings const chosen{.clipping = {.limit = 2.0f}, .lr = {.peak = 1e-3f}, .seed = 42};
  CHECK(chosen.clipping.element(5.0f) == 2.0f);
  CHECK(chosen.lr.peak == 1e-3f);
  CHECK(chosen.optimizer.weight_decay == 0.01);
  CHECK(chosen.seed == 42);
  CHECK(least::settings{}.seed == 1);
}
