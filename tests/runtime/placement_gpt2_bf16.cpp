// gpt2 in bf16, its table tied to a head on another device, on 1, 2, 3 and 4 devices.
#include "placement.hpp"

using namespace test;

template <class Placement, class Schedule>
static std::vector<float> run() {
  return after_20_steps<small_gpt2, mpx::bf16_mixed, Placement, Schedule>();
}

TEST_CASE("gpt2 in bf16 ends with the same bytes wherever its layers live", "[runtime][placement]") {
  auto const one = run<mpx::place_all<>, gpipe_4>();
  CHECK(same_bytes(one, run<mpx::place_evenly<2>, gpipe_4>()));
  CHECK(same_bytes(one, run<mpx::place_evenly<2>, one_f_one_b_4>()));
  CHECK(same_bytes(one, run<mpx::place_evenly<3>, one_f_one_b_4>()));
  CHECK(same_bytes(one, run<mpx::place_evenly<4>, gpipe_4>()));
  CHECK(same_bytes(one, run<mpx::place_evenly<4>, one_f_one_b_4>()));
}
