// On a mesh too, the cut into stages and the schedule change no bit; and what the plan says is what crosses.
#include "mesh.hpp"

namespace {

/// All parameters after 12 steps of Adam with dropout, in the model's order.
template <class Model, class Mesh, class Schedule, class Precision>
std::vector<float> trained() {
  return test::trained<Model, Mesh, Precision, Schedule>(12);
}

using test::mesh_of;
using test::eager;
using test::late;

}  // namespace

TEST_CASE("on two tensor ranks the pipeline's cut and schedule change no bit", "[mesh][bits]") {
  auto const one = trained<test::mesh_seq2seq, mesh_of<1, 1, 2>, eager<8>, mpx::bf16_mixed>();
  CHECK(test::same_bytes(one, trained<test::mesh_seq2seq, mesh_of<1, 2, 2>, eager<8>, mpx::bf16_mixed>()));
  CHECK(test::same_bytes(one, trained<test::mesh_seq2seq, mesh_of<1, 3, 2>, late<8>, mpx::bf16_mixed>()));
}

TEST_CASE("on two data ranks the pipeline's cut and schedule change no bit, tied tables included", "[mesh][bits]") {
  auto const one = trained<test::mesh_gpt2, mesh_of<2, 1, 1>, eager<4>, mpx::f32_only>();
  CHECK(test::same_bytes(one, trained<test::mesh_gpt2, mesh_of<2, 2, 1>, eager<4>, mpx::f32_only>()));
  CHECK(test::same_bytes(one, trained<test::mesh_gpt2, mesh_of<2, 3, 1>, late<4>, mpx::f32_only>()));
}

TEST_CASE("after training, every rank holds its slice of the same parameters", "[mesh][bits]") {
  mpx::trainer<test::mesh_gpt2, test::mesh_recipe<mesh_of<2, 2, 2>, mpx::bf16_mixed, eager<4>, mpx::adam>> trainer{
      {.lr = {.peak = 1e-2f}, .dropout = 0.2f}};
  auto const first = test::all_parameters(trainer);
  for (int step = 0; step < 6; ++step) trainer.step(test::mesh_batch(step));
  CHECK_FALSE(test::same_bytes(first, test::all_parameters(trainer)));
  std::vector<std::vector<float>> whole;
  trainer.each_parameter([&](std::string const& name, auto const&) { whole.push_back(trainer.parameter(name)); });
  for (std::size_t d = 0; d < 2; ++d)
    for (std::size_t t = 0; t < 2; ++t) {
      CAPTURE(d, t);
      std::size_t k = 0, wrong = 0;
      trainer.devices().at(d, t).each_stage([&](auto& stage) {
        stage.each_parameter([&](auto const& p) {
          auto const& values = whole[k++];
          for (std::size_t i = 0; i < p.info->count; ++i) wrong += p.master[i] != values[p.info->whole_index(i, t)];
        });
      });
      CHECK(k == whole.size());
      CHECK(wrong == 0);
    }
}

TEST_CASE("a mesh answers as one device does, with fewer sequences than microbatches too", "[mesh][answers]") {
  test::answers_as_one_device_does<test::mesh_gpt2>();
  test::answers_as_one_device_does<test::mesh_seq2seq>();
}

TEST_CASE("two runs of one mesh give the same bits", "[mesh][bits]") {
  auto const one = trained<test::mesh_gpt2, mesh_of<2, 2, 2>, eager<4>, mpx::bf16_mixed>();
  CHECK(test::same_bytes(one, trained<test::mesh_gpt2, mesh_of<2, 2, 2>, eager<4>, mpx::bf16_mixed>()));
}

TEST_CASE("arenas, sums and messages of a mesh are those of its plan", "[mesh][plan]") {
  test::counts_what_is_planned<test::mesh_seq2seq, mesh_of<1, 2, 2>, mpx::bf16_mixed>();
  test::counts_what_is_planned<test::mesh_seq2seq, mesh_of<2, 2, 2>, mpx::f32_only>();
  test::counts_what_is_planned<test::mesh_gpt2, mesh_of<2, 1, 4>, mpx::f32_only>();
  test::counts_what_is_planned<test::mesh_gpt2, mesh_of<4, 1, 1>, mpx::bf16_mixed>();
}
