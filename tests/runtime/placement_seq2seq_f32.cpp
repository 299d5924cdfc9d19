// seq2seq in f32 on 1, 2, 3 and 4 devices, under both schedules.
#include "placement.hpp"

using namespace test;

template <class Placement, class Schedule>
static std::vector<float> run() {
  return after_20_steps<small_seq2seq, mpx::f32_only, Placement, Schedule>();
}

TEST_CASE("seq2seq in f32 ends with the same bytes wherever its layers live", "[runtime][placement]") {
  auto const one = run<mpx::place_all<>, gpipe_4>();
  CHECK(same_bytes(one, run<mpx::place_all<>, one_f_one_b_4>()));
  CHECK(same_bytes(one, run<mpx::place_evenly<2>, gpipe_4>()));
  CHECK(same_bytes(one, run<mpx::place_evenly<2>, one_f_one_b_4>()));
  CHECK(same_bytes(one, run<mpx::place_evenly<3>, gpipe_4>()));
  CHECK(same_bytes(one, run<mpx::place_evenly<3>, one_f_one_b_4>()));
  CHECK(same_bytes(one, run<mpx::place_evenly<4>, gpipe_4>()));
  CHECK(same_bytes(one, run<mpx::place_evenly<4>, one_f_one_b_4>()));
  CHECK(same_bytes(one, run<there_and_back, one_f_one_b_4>()));
}
