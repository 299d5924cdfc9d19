// Mirrors include/mpx/layer/context.hpp: the tensor rank that a layer runs on.
#include <mpx/layer/context.hpp>

#include <chrono>
#include <thread>

#include <mpx/host/backend.hpp>

#include <mpx_test.hpp>

namespace {

using group = mpx::on_host::group;
template <class Ranks>
using context = mpx::layer_context<mpx::on_host::machine, mpx::bf16, Ranks>;

}  // namespace

static_assert(context<mpx::one_rank>::tensor_ranks == 1 && context<mpx::one_rank>::share(12) == 12);
static_assert(context<mpx::rank_of<group, 4>>::tensor_ranks == 4 && context<mpx::rank_of<group, 4>>::share(12) == 3);
static_assert(mpx::one_rank::number() == 0);

TEST_CASE("a rank knows its number, and sums and compares with the others", "[layer][context]") {
  group both("tensor ranks", 2, std::chrono::seconds(10));
  float sum[] = {3, 4}, high[] = {3, 4};
  auto const work = [&](int rank) {
    mpx::rank_of<group, 2> const mine{&both, rank};
    mine.all_reduce(sum + mine.number(), 1);
    mine.all_reduce_max(high + mine.number(), 1);
  };
  std::thread other(work, 1);
  work(0);
  other.join();
  CHECK((sum[0] == 7 && sum[1] == 7));
  CHECK((high[0] == 4 && high[1] == 4));
}

TEST_CASE("the layers of a composition are on the same rank, with keys of their own", "[layer][context]") {
  mpx::on_host::machine machine;
  mpx::scratch_space scratch;
  mpx::step_values const step;
  context<mpx::rank_of<group, 4>> const whole{machine, scratch, step, {}, {}, 5, 99, {}, {}, {nullptr, 3}};
  auto const first = whole.child(0), second = whole.child(1);
  CHECK((first.ranks.number() == 3 && second.ranks.number() == 3));
  CHECK((first.first_sequence == 5 && second.first_sequence == 5));
  CHECK((first.key != whole.key && second.key != whole.key && first.key != second.key));
}
