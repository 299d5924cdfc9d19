// Stages dealt in turn or laid out in a V, backwards whole or in halves: on every kind of mesh no schedule changes a bit.
#include "mesh.hpp"

namespace {

using test::dealt;
using test::eager;
using test::halved;
using test::halved_v;
using test::mesh_of;

}  // namespace

TEST_CASE("on two tensor ranks that divide rows no schedule changes a bit", "[mesh][schedules]") {
  auto const run = []<class Mesh, class Schedule>() {
    return test::trained<test::mesh_seq2seq, Mesh, mpx::bf16_mixed, Schedule, mpx::sequence_parallel>(6);
  };
  auto const one = run.operator()<mesh_of<1, 1, 2>, eager<8>>();
  CHECK(test::same_bytes(one, run.operator()<mesh_of<1, 2, 2>, dealt<8>>()));
  CHECK(test::same_bytes(one, run.operator()<mesh_of<1, 3, 2>, halved<8>>()));
  CHECK(test::same_bytes(one, run.operator()<mesh_of<1, 2, 2>, halved_v<8>>()));
}

TEST_CASE("on two data ranks no schedule changes a bit, with tied tables and without", "[mesh][schedules]") {
  auto const run = []<class Model, class Mesh, class Schedule>() { return test::trained<Model, Mesh, mpx::f32_only, Schedule>(6); };
  auto const tied = run.operator()<test::mesh_gpt2, mesh_of<2, 1, 1>, eager<4>>();
  CHECK(test::same_bytes(tied, run.operator()<test::mesh_gpt2, mesh_of<2, 2, 1>, dealt<4>>()));
  CHECK(test::same_bytes(tied, run.operator()<test::mesh_gpt2, mesh_of<2, 3, 1>, halved<4>>()));
  CHECK(test::same_bytes(tied, run.operator()<test::mesh_gpt2, mesh_of<2, 2, 1>, halved_v<4>>()));
  auto const untied = run.operator()<test::mesh_gpt2_untied, mesh_of<2, 1, 1>, eager<4>>();
  CHECK(test::same_bytes(untied, run.operator()<test::mesh_gpt2_untied, mesh_of<2, 2, 1>, dealt<4>>()));
  CHECK(test::same_bytes(untied, run.operator()<test::mesh_gpt2_untied, mesh_of<2, 2, 1>, halved_v<4>>()));
}

TEST_CASE("divided optimizers and gradients take split backwards as whole ones", "[mesh][schedules]") {
  auto const run = []<class Schedule, class Sharding>() {
    return test::trained<test::mesh_gpt2, mesh_of<2, 2, 1>, mpx::bf16_mixed, Schedule, Sharding, mpx::gradient_buckets<mpx::bytes{20 << 10}>>(6);
  };
  CHECK(test::same_bytes(run.operator()<eager<4>, mpx::shard_optimizer>(), run.operator()<halved<4>, mpx::shard_optimizer>()));
  CHECK(test::same_bytes(run.operator()<eager<4>, mpx::shard_gradients>(), run.operator()<halved_v<4>, mpx::shard_gradients>()));
}

TEST_CASE("canonical_sum gives the same bits for split backwards on two data ranks", "[mesh][schedules]") {
  auto const run = []<class Mesh, class Schedule>() {
    return test::trained<test::mesh_seq2seq, Mesh, mpx::f32_only, Schedule, mpx::canonical_sum>(6);
  };
  auto const one = run.operator()<mesh_of<1, 1, 1>, eager<8>>();
  CHECK(test::same_bytes(one, run.operator()<mesh_of<2, 2, 1>, halved<4>>()));
  CHECK(test::same_bytes(one, run.operator()<mesh_of<2, 2, 1>, halved_v<4>>()));
}

TEST_CASE("arenas, sums and messages under split backwards are those of the plan", "[mesh][schedules][plan]") {
  using rows = mpx::sequence_parallel;
  test::counts_what_is_planned<test::mesh_seq2seq, test::mesh_recipe<mesh_of<1, 2, 2>, mpx::bf16_mixed, halved<8>, rows>>();
  test::counts_what_is_planned<test::mesh_gpt2, test::mesh_recipe<mesh_of<2, 2, 2>, mpx::f32_only, halved_v<4>, rows>>();
  test::counts_what_is_planned<test::mesh_t5, test::mesh_recipe<mesh_of<1, 2, 2>, mpx::f32_only, halved_v<8>>>();
}
