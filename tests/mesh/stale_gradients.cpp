// Gradients are not cleared before a step: its first ones are written over what was there.
#include <cstring>

#include "matrix/matrix.hpp"
#include "mesh.hpp"

namespace {

using test::mesh_of;

/// With a layer of its user's own, over plain pointers, that adds to its gradients as ever.
using own_layers = mpx::sequential<mpx::token_embedding<16, 32, "inputs">, mpx::residual<mpx::layer_norm<32>, test::low_rank<32, 8>>,
                                   mpx::language_head<32, 16>, mpx::cross_entropy<16>>;

/// The parameters after 3 steps of which each began with `stale` in every byte that gradients, or their sums, stand in.
template <class Model, class Mesh, class Precision, class Schedule, class... More>
std::vector<float> trained_over(int stale) {
  using recipe = test::mesh_recipe<Mesh, Precision, Schedule, mpx::adam, More...>;
  mpx::trainer<Model, recipe> trainer{{.lr = {.peak = 1e-2f}, .seed = 3, .dropout = 0.2f}};
  constexpr auto& plan = trainer.plan;
  for (int step = 0; step < 3; ++step) {
    for (std::size_t n = 0; n < plan.mesh.devices(); ++n)
      for (auto const& s : plan.stages)
        if (s.device_index == plan.mesh.coordinate(n).stage_device)
          for (auto const& r : {s.gradients, s.waiting_sums, s.bucket_buffers})
            std::memset(trainer.devices().arena(n).data() + r.offset, stale, r.size);
    CHECK_FALSE(trainer.step(test::mesh_batch(step)).skipped);
  }
  return test::all_parameters(trainer);
}

template <class... Run>
bool leaves_no_trace() {
  return test::same_bytes(trained_over<Run...>(0), trained_over<Run...>(0xff));  // 0xffffffff is no number
}

}  // namespace

TEST_CASE("what stands where gradients go leaves no trace, however they are summed", "[mesh][stale_gradients]") {
  CHECK(leaves_no_trace<test::mesh_gpt2, mesh_of<1, 1, 1>, mpx::f32_only, test::eager<8>>());
  CHECK(leaves_no_trace<test::mesh_gpt2, mesh_of<2, 2, 1>, mpx::bf16_mixed, test::late<4>>());
  CHECK(leaves_no_trace<test::mesh_gpt2, mesh_of<2, 1, 2>, mpx::f32_only, test::eager<4>, mpx::sequence_parallel>());
  CHECK(leaves_no_trace<test::mesh_gpt2, mesh_of<1, 2, 1>, mpx::f32_only, test::eager<8>, mpx::canonical_sum>());
  CHECK(leaves_no_trace<test::mesh_gpt2, mesh_of<2, 1, 1>, mpx::bf16_mixed, test::eager<4>, mpx::canonical_sum>());
  CHECK(leaves_no_trace<test::mesh_gpt2, mesh_of<2, 1, 1>, mpx::bf16_mixed, test::eager<4>, mpx::sum_each_microbatch>());
  CHECK(leaves_no_trace<test::mesh_gpt2, mesh_of<2, 1, 1>, mpx::f32_only, test::eager<4>, mpx::shard_gradients>());
}

TEST_CASE("what stands where gradients go leaves no trace, in split backwards and in other layers", "[mesh][stale_gradients]") {
  CHECK(leaves_no_trace<test::mesh_gpt2, mesh_of<1, 2, 1>, mpx::f32_only, test::halved<8>>());
  CHECK(leaves_no_trace<test::mesh_seq2seq, mesh_of<1, 2, 1>, mpx::bf16_mixed, test::eager<8>>());
  CHECK(leaves_no_trace<test::mesh_t5, mesh_of<1, 1, 1>, mpx::f32_only, test::eager<8>>());
  CHECK(leaves_no_trace<test::mesh_llama, mesh_of<1, 1, 1>, mpx::bf16_mixed, test::eager<8>>());
  CHECK(leaves_no_trace<own_layers, mesh_of<1, 1, 1>, mpx::f32_only, test::eager<8>>());
}
