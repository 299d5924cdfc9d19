// Summed in a tree over the microbatches of the whole batch, gradients are the same bits on 1, 2, 4 and 8 data ranks.
#include "mesh.hpp"

namespace {

/// All parameters after 12 steps of Adam with dropout, clipping and ragged batches.
template <class Model, class Mesh, class Precision, class Sum, class... More>
std::vector<float> trained() {
  return test::trained<Model, Mesh, Precision, mpx::one_f_one_b<test::share_of_microbatches<Mesh>>, Sum, More...>(12);
}

template <std::size_t D, std::size_t P>
using ranks = test::mesh_of<D, P, 1>;

template <class Model, class Precision>
void is_the_same_for_every_number_of_data_ranks() {
  using tree = mpx::canonical_sum;
  auto const one = trained<Model, ranks<1, 1>, Precision, tree>();
  CHECK(test::same_bytes(one, trained<Model, ranks<2, 1>, Precision, tree>()));
  CHECK(test::same_bytes(one, trained<Model, ranks<4, 1>, Precision, tree>()));
  CHECK(test::same_bytes(one, trained<Model, ranks<8, 1>, Precision, tree>()));
  CHECK(test::same_bytes(one, trained<Model, ranks<2, 2>, Precision, tree>()));
  CHECK(test::same_bytes(one, trained<Model, ranks<4, 2>, Precision, tree>()));
}

}  // namespace

TEST_CASE("with canonical_sum gpt2 in f32 is the same bits on any number of data ranks", "[mesh][canonical_sum]") {
  is_the_same_for_every_number_of_data_ranks<test::mesh_gpt2, mpx::f32_only>();
}

TEST_CASE("with canonical_sum seq2seq in bf16 is the same bits on any number of data ranks", "[mesh][canonical_sum]") {
  is_the_same_for_every_number_of_data_ranks<test::mesh_seq2seq, mpx::bf16_mixed>();
}

TEST_CASE("with canonical_sum and divided rows too, on any number of data ranks and stages", "[mesh][canonical_sum]") {
  using tree = mpx::canonical_sum;
  using rows = mpx::sequence_parallel;
  using model = test::mesh_gpt2;
  auto const one = trained<model, test::mesh_of<1, 1, 2>, mpx::f32_only, tree, rows>();
  CHECK(test::same_bytes(one, trained<model, test::mesh_of<4, 1, 2>, mpx::f32_only, tree, rows>()));
  CHECK(test::same_bytes(one, trained<model, test::mesh_of<2, 3, 2>, mpx::f32_only, tree, rows>()));
}

TEST_CASE("without it another number of data ranks rounds otherwise: the test above can fail", "[mesh][canonical_sum]") {
  auto const one = trained<test::mesh_gpt2, ranks<1, 1>, mpx::f32_only, mpx::sum_in_order>();
  CHECK_FALSE(test::same_bytes(one, trained<test::mesh_gpt2, ranks<2, 1>, mpx::f32_only, mpx::sum_in_order>()));
  CHECK_FALSE(test::same_bytes(one, trained<test::mesh_gpt2, ranks<1, 1>, mpx::f32_only, mpx::canonical_sum>()));
}

// A rank of M microbatches keeps 1 + log2 M copies of its gradients.
template <std::size_t M, class Sum>
constexpr std::size_t gradient_bytes =
    mpx::plan_v<test::mesh_gpt2, test::mesh_recipe<test::one_device, mpx::f32_only, mpx::gpipe<mpx::microbatches<M>>, Sum>>
        .memory_on(mpx::host<0>{})
        .gradients.count;
static_assert(gradient_bytes<8, mpx::canonical_sum> == 4 * gradient_bytes<8, mpx::sum_in_order>);
static_assert(gradient_bytes<1, mpx::canonical_sum> == gradient_bytes<1, mpx::sum_in_order>);
