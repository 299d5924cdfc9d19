// Whole trainings whose ranks meet over an exchange: all of them begin, take and end their sums, ties and slices in the same
// order, and no bit is another one.
#include <string>
#include <vector>

#include <mpx/backend/exchange_group.hpp>

#include "fake_line.hpp"
#include "mesh/mesh.hpp"

namespace {

struct exchange_backend : mpx::on_host::backend {
  using group = mpx::exchange_group<test::fake_line>;
};
static_assert(mpx::backend<exchange_backend>);

/// Reports, parameters and gradients of some steps with dropout, clipping and ragged batches. `fails_once`: the network is
/// down in the third step, which is then done again.
template <class Backend, class Model, class Recipe>
std::vector<float> trained(bool fails_once = false) {
  mpx::basic_trainer<Model, Recipe, Backend> trainer{{.lr = {.peak = 1e-2f}, .seed = 3, .dropout = 0.2f}};
  std::vector<float> all;
  for (int step = 0; step < 4; ++step) {
    if (fails_once && step == 2) {
      test::fake_line::network_is_down = true;
      CHECK_THROWS_AS(trainer.step(test::mesh_batch(step)), mpx::error);
      test::fake_line::network_is_down = false;
    }
    auto const report = trainer.step(test::mesh_batch(step));
    all.push_back(static_cast<float>(report.loss));
    all.push_back(report.gradient_norm);
  }
  trainer.each_parameter([&](std::string const& name, auto const&) {
    for (auto const& values : {trainer.parameter(name), trainer.gradient(name)})
      all.insert(all.end(), values.begin(), values.end());
  });
  all.push_back(static_cast<float>(trainer.evaluate(test::mesh_batch(7))));
  return all;
}

template <class Model, class Mesh, class Precision, std::size_t M, class... More>
bool trains_to_the_bits_of_the_hosts_groups() {
  using recipe = test::mesh_recipe<Mesh, Precision, test::eager<M>, More...>;
  return test::same_bytes(trained<mpx::on_host::backend, Model, recipe>(), trained<exchange_backend, Model, recipe>());
}

using test::mesh_of;

/// Which devices a trainer's machines are, in the order that they are made in: data rank by data rank, each of them tensor rank
/// by tensor rank.
std::vector<int> ordinals;
struct numbered_machine : mpx::on_host::machine {
  explicit numbered_machine(int ordinal = 0) { ordinals.push_back(ordinal); }
};
struct sharing_backend : mpx::on_host::backend {
  using machine = numbered_machine;
};
struct dividing_backend : sharing_backend {
  static constexpr bool ranks_have_own_devices = true;
};

template <class Backend, class Mesh>
std::vector<int> ordinals_of() {
  ordinals.clear();
  mpx::basic_trainer<test::mesh_gpt2, test::mesh_recipe<Mesh, mpx::f32_only>, Backend> const trainer{{}};
  return ordinals;
}

}  // namespace

TEST_CASE("ranks share the placement's devices, or have their own where the backend says so", "[cuda][exchange_group]") {
  CHECK(ordinals_of<sharing_backend, mesh_of<2, 2, 2>>() == std::vector<int>{0, 1, 0, 1, 0, 1, 0, 1});
  CHECK(ordinals_of<dividing_backend, mesh_of<2, 2, 2>>() == std::vector<int>{0, 2, 1, 3, 4, 6, 5, 7});
  CHECK(ordinals_of<dividing_backend, mesh_of<1, 2, 1>>() == std::vector<int>{0, 1});
}

TEST_CASE("over an exchange a tied gpt2 trains to the same bits", "[cuda][exchange_group]") {
  CHECK(trains_to_the_bits_of_the_hosts_groups<test::mesh_gpt2, mesh_of<2, 2, 1>, mpx::bf16_mixed, 4, mpx::adamw>());
}

TEST_CASE("over an exchange a seq2seq on tensor ranks trains to the same bits", "[cuda][exchange_group]") {
  CHECK(trains_to_the_bits_of_the_hosts_groups<test::mesh_seq2seq, mesh_of<2, 1, 2>, mpx::f32_only, 4, mpx::adam,
                                               mpx::sequence_parallel, mpx::shard_optimizer, mpx::canonical_sum>());
}

TEST_CASE("over an exchange three data ranks with slices of gradients train to the same bits", "[cuda][exchange_group]") {
  CHECK(trains_to_the_bits_of_the_hosts_groups<test::mesh_gpt2_untied, mesh_of<3, 2, 1>, mpx::f32_only, 3, mpx::adam,
                                               mpx::shard_gradients, mpx::gradient_buckets<mpx::bytes{4096}>>());
}

TEST_CASE("a step that the network does not carry is an error, and done again it leaves the same bits",
          "[cuda][exchange_group]") {
  using recipe = test::mesh_recipe<mesh_of<2, 2, 1>, mpx::bf16_mixed, test::eager<4>, mpx::adamw>;
  auto const expected = trained<mpx::on_host::backend, test::mesh_gpt2, recipe>();
  CHECK(test::same_bytes(trained<exchange_backend, test::mesh_gpt2, recipe>(true), expected));
}
