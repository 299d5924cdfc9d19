// All three axes at once, on eight devices: two data ranks, each two stages long, each stage divided among two tensor
// ranks. The head shares the table of the embedding, which lives on another stage: its gradient is summed over both
// stages and both data ranks, slice by slice, and none of that is written here.
#include <mpx/mpx.hpp>

#include <iostream>

using model = mpx::gpt2<mpx::vocabulary<256>, mpx::width<64>, mpx::heads<4>, mpx::layers<4>, mpx::context<32>>;
template <class Mesh, std::size_t Microbatches>
using recipe_on = mpx::recipe<Mesh, mpx::one_f_one_b<mpx::microbatches<Microbatches>>, mpx::bf16_mixed,
                              mpx::clip_by_global_norm, mpx::adamw,
                              mpx::microbatch_capacity<mpx::sequences<2>, mpx::tokens<32>>>;
using recipe = recipe_on<mpx::mesh<mpx::data<2>, mpx::pipeline<2>, mpx::tensor<2>>, 4>;  // layers are cut by cost
using alone = recipe_on<mpx::mesh<>, 8>;
constexpr auto& on_mesh = mpx::plan_v<model, recipe>;

// A device is a coordinate; those that talk most are neighbours.
static_assert(on_mesh.mesh.devices() == 8);
static_assert(on_mesh.mesh.coordinate(5) == mpx::mesh_coordinate{.data = 1, .stage_device = 0, .tensor = 1});

// Each of the eight needs less than a third of what one device would.
constexpr std::size_t on_one_device = mpx::plan_v<model, alone>.bytes_on(mpx::host<0>{}).count;
static_assert(3 * on_mesh.bytes_on(mpx::host<0>{}).count < on_one_device);
static_assert(3 * on_mesh.bytes_on(mpx::host<1>{}).count < on_one_device);

// A batch has 16 sequences: four microbatches of two on each data rank. Three tensor ranks would not compile: they do not
// divide four heads.
int main() {
  std::cout << on_mesh << '\n';
  mpx::trainer<model, recipe> trainer{{.lr = {.peak = 3e-3f}}};
  std::string text;
  for (int i = 0; i < 20; ++i) text += "the quick brown fox jumps over the lazy dog; ";
  mpx::text_dataset const pangrams(text, 32, "pangrams");
  for (std::uint64_t step = 0; step < 40; ++step) {
    auto const report = trainer.step(pangrams.random_windows(mpx::text_part::training, 16, 1, step));
    if (report.step % 10 == 0) std::cout << report << '\n';
  }
}
