// Placement never changes a bit: the same run under other placements and schedules ends with the same bytes.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include <mpx/mpx.hpp>

#include <mpx_test.hpp>

#include "support/models.hpp"
#include "support/schedules.hpp"

namespace test {

/// All master weights after 20 steps with dropout, clipping, a warm-up and batches that do not fill their microbatches.
template <class Model, class Precision, class Placement, class Schedule, class Recompute = mpx::keep_activations>
std::vector<float> after_20_steps() {
  using recipe = mpx::recipe<Placement, Schedule, Precision, Recompute, mpx::clip_by_global_norm, mpx::noam, mpx::adam,
                             mpx::microbatch_capacity<mpx::sequences<4>, mpx::source_tokens<6>, mpx::target_tokens<6>>>;
  mpx::trainer<Model, recipe> trainer{{.lr = {.warmup = 10}, .seed = 3, .dropout = 0.2f}};
  for (int step = 0; step < 20; ++step) trainer.step(make_batch(9 + step % 8, 2 + step % 5, 6 - step % 4, 11, 13, static_cast<std::uint32_t>(step)));
  std::vector<float> all;
  trainer.each_parameter([&](std::string const&, auto const& p) { all.insert(all.end(), p.master, p.master + p.info->count); });
  return all;
}

inline bool same_bytes(std::vector<float> const& a, std::vector<float> const& b) {
  return a.size() == b.size() && !a.empty() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

/// Encoder and decoder apart, and a device that holds the first and the last stage.
using there_and_back = mpx::place_at<mpx::at<"encoder", mpx::host<0>>, mpx::at<"decoder.embedding", mpx::host<1>>,
                                     mpx::at<"decoder.layers", mpx::host<1>>, mpx::at<"decoder.norm", mpx::host<0>>,
                                     mpx::at<"decoder.head", mpx::host<0>>, mpx::at<"decoder.loss", mpx::host<0>>>;

/// On 1, 2, 3 and 4 devices, and on one that holds the first and the last stage, under both schedules.
template <class Precision>
void seq2seq_keeps_its_bytes() {
  auto const run = []<class Placement, class Schedule>() { return after_20_steps<small_seq2seq, Precision, Placement, Schedule>(); };
  auto const one = run.template operator()<mpx::place_all<>, gpipe_4>();
  CHECK(same_bytes(one, run.template operator()<mpx::place_all<>, one_f_one_b_4>()));
  CHECK(same_bytes(one, run.template operator()<mpx::place_evenly<2>, gpipe_4>()));
  CHECK(same_bytes(one, run.template operator()<mpx::place_evenly<2>, one_f_one_b_4>()));
  CHECK(same_bytes(one, run.template operator()<mpx::place_evenly<3>, gpipe_4>()));
  CHECK(same_bytes(one, run.template operator()<mpx::place_evenly<3>, one_f_one_b_4>()));
  CHECK(same_bytes(one, run.template operator()<mpx::place_evenly<4>, gpipe_4>()));
  CHECK(same_bytes(one, run.template operator()<mpx::place_evenly<4>, one_f_one_b_4>()));
  CHECK(same_bytes(one, run.template operator()<there_and_back, one_f_one_b_4>()));
  CHECK(same_bytes(one, run.template operator()<mpx::place_evenly<2>, interleaved_4>()));
  CHECK(same_bytes(one, run.template operator()<mpx::place_evenly<3>, zb_h1_4>()));
  CHECK(same_bytes(one, run.template operator()<mpx::place_evenly<2>, zb_v_4>()));
}

/// Its table tied to a head on another device, on 1, 2, 3 and 4 devices.
template <class Precision>
void gpt2_keeps_its_bytes() {
  auto const run = []<class Placement, class Schedule>() { return after_20_steps<small_gpt2, Precision, Placement, Schedule>(); };
  auto const one = run.template operator()<mpx::place_all<>, gpipe_4>();
  CHECK(same_bytes(one, run.template operator()<mpx::place_evenly<2>, gpipe_4>()));
  CHECK(same_bytes(one, run.template operator()<mpx::place_evenly<2>, one_f_one_b_4>()));
  CHECK(same_bytes(one, run.template operator()<mpx::place_evenly<3>, one_f_one_b_4>()));
  CHECK(same_bytes(one, run.template operator()<mpx::place_evenly<4>, gpipe_4>()));
  CHECK(same_bytes(one, run.template operator()<mpx::place_evenly<4>, one_f_one_b_4>()));
  CHECK(same_bytes(one, run.template operator()<mpx::place_evenly<2>, interleaved_4>()));
  CHECK(same_bytes(one, run.template operator()<mpx::place_evenly<3>, zb_h1_4>()));
  CHECK(same_bytes(one, run.template operator()<mpx::place_evenly<2>, zb_v_4>()));
}

/// Its table has holders in both halves and at the end: on 1, 2, 3 and 5 devices, where the holders of both biases are
/// apart too, and on one that holds the first and the last stage.
template <class Precision>
void t5_keeps_its_bytes() {
  auto const run = []<class Placement, class Schedule>() {
    return after_20_steps<small_t5, Precision, Placement, Schedule>();
  };
  auto const one = run.template operator()<mpx::place_all<>, gpipe_4>();
  CHECK(same_bytes(one, run.template operator()<mpx::place_evenly<2>, gpipe_4>()));
  CHECK(same_bytes(one, run.template operator()<mpx::place_evenly<2>, one_f_one_b_4>()));
  CHECK(same_bytes(one, run.template operator()<mpx::place_evenly<3>, one_f_one_b_4>()));
  CHECK(same_bytes(one, run.template operator()<mpx::place_evenly<5>, gpipe_4>()));
  CHECK(same_bytes(one, run.template operator()<there_and_back, one_f_one_b_4>()));
  CHECK(same_bytes(one, run.template operator()<mpx::place_evenly<3>, zb_h1_4>()));
  CHECK(same_bytes(one, run.template operator()<mpx::place_evenly<2>, zb_v_4>()));
}

}  // namespace test
