// Tensor ranks divide the rows while data ranks divide the update: parts of a gradient are summed slice by slice.
#include "sharded.hpp"

namespace {

using rows = mpx::sequence_parallel;
using test::mesh_of;
using test::eager;

template <class Model, class Mesh, class Precision, std::size_t M, class Sharding, class... More>
bool is_as_replicated() {
  auto const whole = test::sharded_run<Model, Mesh, Precision, eager<M>, rows, More...>();
  return test::same_bytes(whole, test::sharded_run<Model, Mesh, Precision, eager<M>, rows, More..., Sharding>());
}

/// Bytes that a tensor rank brings in a step of full microbatches: the plan's on the data rank with most of them.
template <class Model, class Recipe>
void tensor_ranks_bring_what_is_planned() {
  mpx::trainer<Model, Recipe> trainer;
  constexpr auto& plan = trainer.plan;
  static_assert(plan.stage_count == plan.device_count);
  trainer.step(test::make_batch(plan.capacity.sequences * static_cast<int>(plan.microbatches * plan.mesh.data), 6, 6, 12, 16, 1));
  for (std::size_t s = 0; s < plan.stage_count; ++s) {
    std::size_t most = 0;
    for (std::size_t d = 0; d < plan.mesh.data; ++d)
      most = std::max<std::size_t>(most, trainer.devices().tensor_group({d, plan.stages[s].device_index, 0}).bytes_brought(0));
    CHECK(most == plan.tensor_sum_bytes(s).count);
  }
}

template <class Mesh, std::size_t M, class... More>
using recipe = test::mesh_recipe<Mesh, mpx::bf16_mixed, eager<M>, mpx::adam, rows, More...>;

}  // namespace

// Each data rank sums its slice of them alone.
static_assert(mpx::plan_v<test::mesh_gpt2, recipe<mesh_of<2, 1, 2>, 4, mpx::shard_optimizer>>.stages[0].partial_gradients <
              mpx::plan_v<test::mesh_gpt2, recipe<mesh_of<2, 1, 2>, 4>>.stages[0].partial_gradients);

TEST_CASE("with divided rows a sharded optimizer trains to the same bits", "[mesh][sequence_parallel][shard_optimizer]") {
  CHECK(is_as_replicated<test::mesh_gpt2, mesh_of<2, 1, 2>, mpx::f32_only, 4, mpx::shard_optimizer, mpx::adamw>());
  CHECK(is_as_replicated<test::mesh_seq2seq, mesh_of<2, 2, 2>, mpx::bf16_mixed, 4, mpx::shard_optimizer, mpx::adam>());
}

TEST_CASE("with divided rows sharded gradients train to the same bits", "[mesh][sequence_parallel][shard_gradients]") {
  CHECK(is_as_replicated<test::mesh_gpt2, mesh_of<2, 2, 2>, mpx::bf16_mixed, 4, mpx::shard_gradients, mpx::adam,
                         mpx::sum_each_microbatch>());
}

TEST_CASE("slices of partial gradients bring the bytes of the plan", "[mesh][sequence_parallel][plan]") {
  tensor_ranks_bring_what_is_planned<test::mesh_gpt2, recipe<mesh_of<2, 1, 2>, 4>>();
  tensor_ranks_bring_what_is_planned<test::mesh_gpt2, recipe<mesh_of<2, 2, 2>, 4, mpx::shard_optimizer>>();
  tensor_ranks_bring_what_is_planned<test::mesh_seq2seq, recipe<mesh_of<3, 1, 2>, 2, mpx::shard_optimizer>>();
  tensor_ranks_bring_what_is_planned<test::mesh_gpt2_untied, recipe<mesh_of<2, 1, 2>, 4, mpx::shard_gradients>>();
}
