// Gradients leave bucket by bucket while backward goes on, and no size of a bucket changes a bit.
#include "mesh.hpp"

#include <array>
#include <mutex>
#include <string>

namespace {

using namespace mpx::literals;

/// All parameters after 6 steps of Adam with dropout, clipping and ragged batches.
template <class Model, class Mesh, class Precision, class... More>
std::vector<float> trained() {
  return test::trained<Model, Mesh, Precision, mpx::one_f_one_b<test::share_of_microbatches<Mesh>>, More...>(6);
}

/// What the first two devices' threads did, in order: "brings", "takes", "ends", and the last layer's backward, "embeds".
std::array<std::vector<std::string>, 2> done;
std::mutex guard;
thread_local int this_rank = -1;

void note(int rank, char const* what) {
  std::scoped_lock const lock(guard);
  done[static_cast<std::size_t>(rank)].emplace_back(what);
}

class noting_group : public mpx::on_host::group {
 public:
  using group::group;
  template <class T>
  void begin_sum(int rank, std::size_t number, T* data, std::size_t n, std::span<std::size_t const> slices, mpx::sum_order order) {
    this_rank = rank;
    note(rank, "brings");
    group::begin_sum(rank, number, data, n, slices, order);
  }
  template <class T>
  void take_sum(int rank, std::size_t number) {
    note(rank, "takes");
    group::take_sum<T>(rank, number);
  }
  void end_sum(int rank, std::size_t number) {
    note(rank, "ends");
    group::end_sum(rank, number);
  }
};

class noting_machine : public mpx::on_host::machine {
 public:
  template <class Sum, class T>
  void embedding_backward(Sum* sum, T const* dy, std::int32_t const* ids, std::size_t rows, std::size_t width, Sum factor,
                          mpx::id_slice mine = {}) {
    if (this_rank >= 0) note(this_rank, "embeds");
    machine::embedding_backward(sum, dy, ids, rows, width, factor, mine);
  }
};

struct noting_backend : mpx::on_host::backend {
  using machine = noting_machine;
  using group = noting_group;
};

}  // namespace

TEST_CASE("the size of buckets changes no bit", "[mesh][buckets]") {
  using mesh = test::mesh_of<2, 2, 1>;
  auto const one = trained<test::mesh_gpt2, mesh, mpx::f32_only>();
  CHECK(test::same_bytes(one, trained<test::mesh_gpt2, mesh, mpx::f32_only, mpx::gradient_buckets<1_B>>()));
  CHECK(test::same_bytes(one, trained<test::mesh_gpt2, mesh, mpx::f32_only, mpx::gradient_buckets<20_KiB>>()));
  using tensor_mesh = test::mesh_of<2, 1, 2>;
  auto const other = trained<test::mesh_seq2seq, tensor_mesh, mpx::bf16_mixed, mpx::canonical_sum>();
  CHECK(test::same_bytes(other, trained<test::mesh_seq2seq, tensor_mesh, mpx::bf16_mixed, mpx::canonical_sum, mpx::gradient_buckets<1_B>>()));
}

TEST_CASE("buckets leave during the last backward, and are waited for after it", "[mesh][buckets]") {
  using recipe = test::mesh_recipe<test::mesh_of<2, 1, 1>, mpx::f32_only, mpx::gpipe<mpx::microbatches<4>>, mpx::sgd,
                                   mpx::gradient_buckets<1_B>>;
  mpx::trainer<test::mesh_gpt2, recipe, noting_backend> trainer;
  trainer.step(test::mesh_batch(0));
  // Head, norm and two blocks are on their way when the table of tokens gets its gradient.
  std::vector<std::string> expected(4, "brings");
  expected.insert(expected.end(), {"embeds", "brings"});
  expected.insert(expected.end(), 5, "takes");
  expected.insert(expected.end(), 5, "ends");
  CHECK(done[0] == expected);
  CHECK(done[1] == expected);
}
