// Training on GPUs that reach each other through NCCL, against CUDA's copies.
#include "gpu.hpp"

#include <iostream>
#include <string>
#include <vector>

#include <mpx/cuda.hpp>
#include <mpx/cuda/nccl.hpp>

#include "mesh/mesh.hpp"

namespace {

bool fewer_than_two_gpus() {
  if (mpx::on_cuda::device_count() > 1) return false;
  std::cout << "skipped: this case needs two GPUs" << std::endl;
  return true;
}

template <class Backend, class Model, class Recipe>
std::vector<float> trained() {
  mpx::basic_trainer<Model, Recipe, Backend> trainer{{.lr = {.peak = 1e-2f}, .seed = 3, .dropout = 0.2f}};
  for (int step = 0; step < 4; ++step) trainer.step(test::mesh_batch(step));
  return test::all_parameters(trainer);
}

template <class Mesh>
bool trains_to_the_bits_of_copies() {
  using model = test::mesh_gpt2;
  using recipe = mpx::recipe<Mesh, mpx::place_all<mpx::cuda<0>>, mpx::gpipe<test::share_of_microbatches<Mesh>>, mpx::bf16_mixed,
                             mpx::clip_by_global_norm, mpx::constant_rate, mpx::adamw,
                             mpx::microbatch_capacity<mpx::sequences<2>, mpx::source_tokens<6>, mpx::target_tokens<6>>>;
  return test::same_bytes(trained<mpx::on_cuda::backend, model, recipe>(), trained<mpx::on_cuda::nccl_backend, model, recipe>());
}

}  // namespace

TEST_CASE("through NCCL two data ranks and two tensor ranks train to the bits of CUDA's copies", "[gpu][nccl]") {
  if (fewer_than_two_gpus()) return;
  CHECK(trains_to_the_bits_of_copies<mpx::mesh<mpx::data<2>>>());
  CHECK(trains_to_the_bits_of_copies<mpx::mesh<mpx::tensor<2>>>());
}
