// Faults that the bound must see, and failures that must leave no trace.
#include "mesh.hpp"

#include <atomic>
#include <chrono>
#include <limits>
#include <stdexcept>
#include <thread>

namespace {

/// What a rank of one kind of group does wrong.
enum class sabotage {
  none, scale_a_part, skip_the_sum, skip_sums_of_vectors, skip_the_scatter, skip_the_gather, throw_once, lose_the_gather,
  give_no_number, come_late
};

std::atomic<sabotage> of_tensor_ranks{sabotage::none}, of_data_ranks{sabotage::none}, of_ties{sabotage::none};

/// The host's group, in which rank 1 does what it is told.
class saboteur : public mpx::on_host::group {
 public:
  saboteur(std::string name, int ranks, clock::duration deadline) : group(name, ranks, deadline), order_(order_of(name)) {}
  saboteur(std::string name, int ranks, clock::duration deadline, std::size_t summands)
      : group(name, ranks, deadline, summands), order_(order_of(name)) {}

  template <class T>
  void all_reduce(int rank, T* data, std::size_t n) {
    if (spoils(rank, data, n)) group::all_reduce(rank, data, n);
  }
  template <class T>
  void all_gather(int rank, T* slice, T* whole, std::span<std::size_t const> slices) {
    auto expected = sabotage::lose_the_gather;
    if (rank == 1 && order_ && order_->compare_exchange_strong(expected, sabotage::none)) throw std::runtime_error("a device is gone");
    if (order_ && *order_ == sabotage::skip_the_gather) {  // zeros instead of the others' slices
      auto const r = static_cast<std::size_t>(rank);
      std::fill(whole, whole + slices.back(), T(0.0f));
      std::copy(slice, slice + (slices[r + 1] - slices[r]), whole + slices[r]);
    } else {
      group::all_gather(rank, slice, whole, slices);
    }
  }
  /// A rank's own part instead of the sum.
  template <class T>
  void reduce_scatter(int rank, T* parts, T* slice, std::span<std::size_t const> slices) {
    auto const r = static_cast<std::size_t>(rank);
    if (order_ && *order_ == sabotage::skip_the_scatter) std::copy(parts + slices[r], parts + slices[r + 1], slice);
    else group::reduce_scatter(rank, parts, slice, slices);
  }
  // Sums of gradients come in three parts.
  template <class T>
  void begin_sum(int rank, std::size_t number, T* data, std::size_t n, std::span<std::size_t const> slices, mpx::sum_order order) {
    if (spoils(rank, data, n)) group::begin_sum(rank, number, data, n, slices, order);
  }
  template <class T>
  void take_sum(int rank, std::size_t number) {
    if (!order_ || *order_ != sabotage::skip_the_sum) group::take_sum<T>(rank, number);
  }
  void end_sum(int rank, std::size_t number) {
    if (!order_ || *order_ != sabotage::skip_the_sum) group::end_sum(rank, number);
  }
  template <class T>
  void all_reduce(int rank, std::span<mpx::summand<T> const> mine, std::size_t n) {
    if (order_ && *order_ == sabotage::skip_the_sum) return;
    group::all_reduce(rank, mine, n);
  }

 private:
  /// Does what this group's rank 1 is told. False: the sum is left out.
  template <class T>
  bool spoils(int rank, T* data, std::size_t n) {
    sabotage const what = order_ ? order_->load() : sabotage::none;
    if (what == sabotage::skip_the_sum) return false;
    if (what == sabotage::skip_sums_of_vectors && n == 32) return false;  // norms, and biases behind a sum: the width
    if (rank == 1 && n > 0) {
      if (what == sabotage::scale_a_part)
        for (std::size_t i = 0; i < n; ++i) data[i] = T(static_cast<float>(data[i]) * 1.01f);
      if (what == sabotage::give_no_number) data[0] = T(std::numeric_limits<float>::infinity());
      if (what == sabotage::come_late) std::this_thread::sleep_for(std::chrono::milliseconds(1500));
      if (what == sabotage::throw_once) {
        order_->store(sabotage::none);
        throw std::runtime_error("a device is gone");
      }
    }
    return true;
  }
  static std::atomic<sabotage>* order_of(std::string const& name) {
    return name.starts_with("tensor ranks") ? &of_tensor_ranks : name.starts_with("data ranks") ? &of_data_ranks
           : name.starts_with("tied") ? &of_ties : nullptr;
  }
  std::atomic<sabotage>* order_;
};

struct sabotaged : mpx::on_host::backend {
  using group = saboteur;
};
static_assert(mpx::backend<sabotaged>);

using model = test::mesh_gpt2;
using precision = mpx::f32_only;

template <class Mesh, class... More>
double excess_under(std::atomic<sabotage>& order, sabotage what) {
  auto const one = test::step_on<model, test::one_device, precision>();
  order = what;
  auto const off = test::step_on<model, Mesh, precision, sabotaged, More...>();
  order = sabotage::none;
  return test::excess(one, off, test::rounding<precision>);
}

template <class Mesh>
using trainer_on = mpx::trainer<model, test::mesh_recipe<Mesh, precision>, sabotaged>;

using tensor_2 = test::mesh_of<1, 1, 2>;
using data_2 = test::mesh_of<2, 1, 1>;
using all_2 = test::mesh_of<2, 2, 2>;

}  // namespace

TEST_CASE("the bound holds without a fault, and fails with each", "[mesh][faults]") {
  CHECK(excess_under<tensor_2>(of_tensor_ranks, sabotage::none) <= 1);
  CHECK(excess_under<tensor_2>(of_tensor_ranks, sabotage::scale_a_part) > 10);
  CHECK(excess_under<tensor_2>(of_tensor_ranks, sabotage::skip_the_sum) > 10);
  CHECK(excess_under<data_2>(of_data_ranks, sabotage::scale_a_part) > 10);
  CHECK(excess_under<data_2>(of_data_ranks, sabotage::skip_the_sum) > 10);
  CHECK(excess_under<test::mesh_of<1, 2, 1>>(of_ties, sabotage::skip_the_sum) > 10);
}

TEST_CASE("the bound holds where ranks divide rows, and fails without one of their reductions", "[mesh][faults]") {
  using rows = mpx::sequence_parallel;
  CHECK(excess_under<tensor_2, rows>(of_tensor_ranks, sabotage::none) <= 1);
  CHECK(excess_under<tensor_2, rows>(of_tensor_ranks, sabotage::skip_sums_of_vectors) > 10);
  CHECK(excess_under<tensor_2, rows>(of_tensor_ranks, sabotage::skip_the_scatter) > 10);
  CHECK(excess_under<tensor_2, rows>(of_tensor_ranks, sabotage::skip_the_gather) > 10);
}

TEST_CASE("a device that fails stops the mesh, and the next step is as if nothing had been", "[mesh][faults]") {
  for (auto* order : {&of_tensor_ranks, &of_data_ranks}) {
    trainer_on<all_2> trainer{{.seed = 2}}, never{{.seed = 2}};
    auto const before = test::all_parameters(trainer);
    *order = sabotage::throw_once;
    CHECK_THROWS_WITH(trainer.step(test::mesh_batch(0)), "a device is gone");
    CHECK(test::all_parameters(trainer) == before);
    trainer.step(test::mesh_batch(0));
    never.step(test::mesh_batch(0));
    CHECK(test::all_parameters(trainer) == test::all_parameters(never));
  }
}

TEST_CASE("a device that fails with divided gradients leaves none of them behind", "[mesh][faults]") {
  using recipe = test::mesh_recipe<all_2, mpx::bf16_mixed, mpx::one_f_one_b<mpx::microbatches<4>>, mpx::adam, mpx::shard_gradients,
                                   mpx::gradient_buckets<mpx::bytes{1}>>;
  mpx::trainer<model, recipe, sabotaged> trainer{{.seed = 2}}, never{{.seed = 2}};
  trainer.step(test::mesh_batch(0));
  never.step(test::mesh_batch(0));
  for (auto* order : {&of_tensor_ranks, &of_data_ranks}) {
    *order = sabotage::throw_once;
    CHECK_THROWS_WITH(trainer.step(test::mesh_batch(1)), "a device is gone");
    CHECK(test::all_parameters(trainer) == test::all_parameters(never));
  }
  trainer.step(test::mesh_batch(1));
  never.step(test::mesh_batch(1));
  CHECK(test::all_parameters(trainer) == test::all_parameters(never));
}

TEST_CASE("weights that could not be gathered behind an update are gathered before the next job", "[mesh][faults]") {
  using recipe = test::mesh_recipe<all_2, mpx::bf16_mixed, mpx::one_f_one_b<mpx::microbatches<4>>, mpx::adam, mpx::shard_optimizer>;
  mpx::trainer<model, recipe, sabotaged> trainer{{.seed = 2}}, never{{.seed = 2}};
  // The step has happened: its update is on every rank. What is missing are the other ranks' weights.
  of_data_ranks = sabotage::lose_the_gather;
  CHECK(trainer.step(test::mesh_batch(0)).step == 1);
  CHECK(of_data_ranks == sabotage::none);
  never.step(test::mesh_batch(0));
  CHECK(test::all_parameters(trainer) == test::all_parameters(never));
  CHECK(trainer.evaluate(test::mesh_batch(1)) == never.evaluate(test::mesh_batch(1)));
  // Lost again, and then once more in the job that begins with gathering: that one fails before anything is done.
  of_data_ranks = sabotage::lose_the_gather;
  trainer.step(test::mesh_batch(1));
  never.step(test::mesh_batch(1));
  of_data_ranks = sabotage::lose_the_gather;
  CHECK_THROWS_WITH(trainer.step(test::mesh_batch(2)), "a device is gone");
  CHECK(trainer.steps() == 2);
  CHECK(test::all_parameters(trainer) == test::all_parameters(never));
  trainer.step(test::mesh_batch(2));
  never.step(test::mesh_batch(2));
  CHECK(test::all_parameters(trainer) == test::all_parameters(never));
}

TEST_CASE("a value on one device that is no number skips the step on all", "[mesh][faults]") {
  for (auto* order : {&of_tensor_ranks, &of_data_ranks}) {
    trainer_on<all_2> trainer;
    auto const before = test::all_parameters(trainer);
    *order = sabotage::give_no_number;
    CHECK(trainer.step(test::mesh_batch(0)).skipped);
    *order = sabotage::none;
    CHECK(test::all_parameters(trainer) == before);
    CHECK_FALSE(trainer.step(test::mesh_batch(0)).skipped);
  }
}

TEST_CASE("a device that does not come ends the step when the deadline has passed", "[mesh][faults]") {
  for (auto* order : {&of_tensor_ranks, &of_data_ranks}) {
    trainer_on<all_2> trainer{{.deadline_ms = 500}};
    auto const before = test::all_parameters(trainer);
    *order = sabotage::come_late;
    auto const begin = std::chrono::steady_clock::now();
    CHECK_THROWS_WITH(trainer.step(test::mesh_batch(0)), Catch::Contains("past the deadline"));
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(10));
    *order = sabotage::none;
    CHECK(test::all_parameters(trainer) == before);
    CHECK_FALSE(trainer.step(test::mesh_batch(0)).skipped);
  }
}
