// With shard_gradients data ranks keep the gradients of their slices alone. With the same order of sums, not a bit differs.
#include "sharded.hpp"

namespace {

using test::mesh_of;
using test::eager;
using test::late;
using sharded = mpx::shard_gradients;
using each = mpx::sum_each_microbatch;
using small_buckets = mpx::gradient_buckets<mpx::bytes{20 << 10}>;

template <class Model, class Mesh, class Precision, class Schedule, class... More>
bool is_as_replicated() {
  auto const whole = test::sharded_run<Model, Mesh, Precision, Schedule, More..., each>();
  return test::same_bytes(whole, test::sharded_run<Model, Mesh, Precision, Schedule, More..., sharded>()) &&
         test::same_bytes(whole, test::sharded_run<Model, Mesh, Precision, Schedule, More..., mpx::shard_optimizer, each>());
}

}  // namespace

TEST_CASE("sharded gradients train a tied gpt2 to the same bits", "[mesh][shard_gradients]") {
  CHECK(is_as_replicated<test::mesh_gpt2, mesh_of<2, 2, 1>, mpx::f32_only, eager<4>, mpx::adamw, small_buckets>());
  CHECK(is_as_replicated<test::mesh_gpt2, mesh_of<3, 2, 1>, mpx::bf16_mixed, late<3>, mpx::adam>());
}

TEST_CASE("sharded gradients train an untied gpt2 to the same bits", "[mesh][shard_gradients]") {
  CHECK(is_as_replicated<test::mesh_gpt2_untied, mesh_of<4, 1, 2>, mpx::bf16_mixed, eager<2>, mpx::adam, mpx::gradient_buckets<mpx::bytes{1}>>());
}

TEST_CASE("sharded gradients train a seq2seq to the same bits", "[mesh][shard_gradients]") {
  CHECK(is_as_replicated<test::mesh_seq2seq, mesh_of<2, 2, 2>, mpx::f32_only, eager<4>, mpx::adam, small_buckets>());
}

TEST_CASE("sharded gradients train a t5, whose blocks share a table, to the same bits", "[mesh][shard_gradients]") {
  CHECK(is_as_replicated<test::mesh_t5, mesh_of<2, 2, 1>, mpx::bf16_mixed, eager<4>, mpx::adam, small_buckets>());
}

TEST_CASE("with one microbatch a rank, sharded gradients are summed as they always are", "[mesh][shard_gradients]") {
  using wide = mpx::microbatch_capacity<mpx::sequences<8>, mpx::source_tokens<6>, mpx::target_tokens<6>>;
  auto const trained = []<class... More>() {
    mpx::trainer<test::mesh_gpt2, mpx::recipe<mesh_of<2, 1, 1>, mpx::bf16_mixed, mpx::clip_by_global_norm, wide, More...>> trainer{
        {.dropout = 0.2f}};
    for (int step = 0; step < 4; ++step) trainer.step(test::mesh_batch(step));
    return test::all_parameters(trainer);
  };
  auto const whole = trained.operator()<>();
  CHECK(test::same_bytes(whole, trained.operator()<sharded>()));
  CHECK(test::same_bytes(whole, trained.operator()<sharded, mpx::sum_in_order>()));
  CHECK(test::same_bytes(trained.operator()<mpx::canonical_sum>(), trained.operator()<sharded, mpx::canonical_sum>()));
}

TEST_CASE("another order of sums is another rounding: the tests above can fail", "[mesh][shard_gradients]") {
  auto const whole = test::sharded_run<test::mesh_gpt2, mesh_of<2, 1, 1>, mpx::f32_only, eager<4>, mpx::adam>();
  CHECK_FALSE(test::same_bytes(whole, test::sharded_run<test::mesh_gpt2, mesh_of<2, 1, 1>, mpx::f32_only, eager<4>, mpx::adam, sharded>()));
}

TEST_CASE("sharded gradients take the bytes of their plan, and travel as planned", "[mesh][shard_gradients]") {
  test::divides_what_is_planned<test::mesh_gpt2, test::mesh_recipe<mesh_of<2, 2, 1>, mpx::bf16_mixed, eager<4>, mpx::adam, sharded>>();
  test::divides_what_is_planned<test::mesh_gpt2, test::mesh_recipe<mesh_of<3, 1, 1>, mpx::bf16_mixed, eager<3>, mpx::adam, sharded>>();
  test::divides_what_is_planned<test::mesh_seq2seq,
                                test::mesh_recipe<mesh_of<3, 1, 2>, mpx::f32_only, eager<3>, mpx::adam, sharded, small_buckets>>();
  test::slices_are_all_there<test::mesh_gpt2_untied, test::mesh_recipe<mesh_of<4, 1, 1>, mpx::bf16_mixed, eager<2>, mpx::adam, sharded>>();
}
