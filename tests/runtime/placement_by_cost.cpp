// Placed by cost, a model ends where it ends on one device.
#include "placement.hpp"

using namespace test;
using namespace mpx::literals;

template <class Model, class Placement>
static std::vector<float> run() {
  return after_20_steps<Model, mpx::f32_only, Placement, one_f_one_b_4>();
}

TEST_CASE("a model ends with the same bytes when its layers are placed by cost", "[runtime][placement]") {
  auto const gpt2 = run<small_gpt2, mpx::place_all<>>();
  CHECK(same_bytes(gpt2, run<small_gpt2, mpx::place_by_cost<3>>()));
  CHECK(same_bytes(gpt2, run<small_gpt2, mpx::place_by_cost<2, mpx::balance_memory>>()));
  using uneven = mpx::place_by_cost<2, mpx::balance_time_within<4_MiB>, mpx::device_weights<1, 3>>;
  CHECK(same_bytes(run<small_seq2seq, mpx::place_all<>>(), run<small_seq2seq, uneven>()));
}
