// What a step costs besides arithmetic: no allocation, no virtual call.
#include <type_traits>

#include <mpx/mpx.hpp>

#include <mpx_test.hpp>

#include "support/count_allocations.hpp"
#include "support/models.hpp"

namespace {

template <class Precision>
using recipe = mpx::recipe<mpx::place_at<mpx::at<"encoder", mpx::host<0>>, mpx::at<"decoder", mpx::host<1>>>,
                           mpx::one_f_one_b<mpx::microbatches<2>>, Precision, mpx::dynamic_loss_scaling, mpx::clip_by_global_norm,
                           mpx::noam, mpx::adam,
                           mpx::microbatch_capacity<mpx::sequences<4>, mpx::source_tokens<6>, mpx::target_tokens<6>>>;

// Nothing that a step goes through has a virtual function.
template <class Precision>
constexpr bool no_virtual_functions = [] {
  using trainer = mpx::trainer<test::small_seq2seq, recipe<Precision>>;
  using compute = typename Precision::compute;
  using layers = mpx::stage_layers_t<test::small_seq2seq, recipe<Precision>, 0>;
  return !std::is_polymorphic_v<trainer> && !std::is_polymorphic_v<mpx::executor<test::small_seq2seq, recipe<Precision>, mpx::on_host::backend>> &&
         !std::is_polymorphic_v<mpx::stage<mpx::on_host::machine, compute, layers>> && !std::is_polymorphic_v<mpx::on_host::machine> &&
         !std::is_polymorphic_v<mpx::on_host::gemm> && !std::is_polymorphic_v<mpx::on_host::channel> &&
         !std::is_polymorphic_v<mpx::on_host::group> && !std::is_polymorphic_v<mpx::on_host::memory>;
}();
static_assert(no_virtual_functions<mpx::f32_only> && no_virtual_functions<mpx::bf16_mixed>);

template <class Precision, class... More>
using mesh_recipe = mpx::recipe<mpx::mesh<mpx::data<2>, mpx::pipeline<2>>, mpx::one_f_one_b<mpx::microbatches<2>>, Precision,
                                mpx::clip_by_global_norm, mpx::noam, mpx::gradient_buckets<mpx::bytes{1}>,
                                mpx::microbatch_capacity<mpx::sequences<2>, mpx::source_tokens<6>, mpx::target_tokens<6>>, More...>;

template <class Recipe>
void allocates_nothing() {
  mpx::trainer<test::small_seq2seq, Recipe> trainer{{.lr = {.warmup = 10}}};
  auto const batch = test::make_batch(8, 5, 6);
  trainer.step(batch);  // oneDNN's primitives are made here, once for each shape

  long const before = own_allocations;
  for (int i = 0; i < 10; ++i) trainer.step(batch);
  CHECK(own_allocations == before);
}

}  // namespace

TEST_CASE("the counter of allocations counts", "[step][allocations]") {
  long const before = own_allocations;
  ::operator delete(::operator new(8));
  CHECK(own_allocations == before + 1);
}

TEST_CASE("a step allocates nothing after the first one, in f32", "[step][allocations]") { allocates_nothing<recipe<mpx::f32_only>>(); }
TEST_CASE("a step allocates nothing after the first one, in bf16", "[step][allocations]") { allocates_nothing<recipe<mpx::bf16_mixed>>(); }
TEST_CASE("nor does one whose gradients and updates are divided among data ranks", "[step][allocations]") {
  allocates_nothing<mesh_recipe<mpx::f32_only>>();
  allocates_nothing<mesh_recipe<mpx::bf16_mixed, mpx::shard_optimizer>>();
  allocates_nothing<mesh_recipe<mpx::bf16_mixed, mpx::shard_gradients>>();
}
