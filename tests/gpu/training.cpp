// Training on a GPU: as on the host, the same bits in each run and for each cut into stages.
#include "gpu.hpp"

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include <mpx/cuda.hpp>

#include "support/models.hpp"
#include "train/golden.hpp"

namespace {

using one_device = mpx::place_all<mpx::cuda<0>>;
using gpt2_in_two = mpx::place_at<mpx::at<"embedding", mpx::cuda<0>>, mpx::at<"layers.0", mpx::cuda<0>>, mpx::at<"layers.1", mpx::cuda<1>>,
                                  mpx::at<"norm", mpx::cuda<1>>, mpx::at<"head", mpx::cuda<1>>, mpx::at<"loss", mpx::cuda<1>>>;
using seq2seq_in_two = mpx::place_at<mpx::at<"encoder", mpx::cuda<0>>, mpx::at<"decoder", mpx::cuda<1>>>;

// The first half on the host: a table that is tied to a head on the GPU, an encoder whose memory a decoder there reads.
using gpt2_on_both = mpx::place_at<mpx::at<"embedding", mpx::host<0>>, mpx::at<"layers.0", mpx::host<0>>,
                                   mpx::at<"layers.1", mpx::cuda<0>>, mpx::at<"norm", mpx::cuda<0>>,
                                   mpx::at<"head", mpx::cuda<0>>, mpx::at<"loss", mpx::cuda<0>>>;
using seq2seq_on_both = mpx::place_at<mpx::at<"encoder", mpx::host<0>>, mpx::at<"decoder", mpx::cuda<0>>>;

template <class Placement, class Precision, class Optimizer, class Schedule>
using recipe = mpx::recipe<Placement, Schedule, Precision, mpx::clip_by_global_norm, mpx::noam, Optimizer,
                           mpx::microbatch_capacity<mpx::sequences<4>, mpx::source_tokens<6>, mpx::target_tokens<6>>>;
using gpipe_4 = mpx::gpipe<mpx::microbatches<4>>;
using one_f_one_b_4 = mpx::one_f_one_b<mpx::microbatches<4>>;

struct parameter {
  std::string name;
  std::vector<float> values;
};

/// All parameters after 20 steps with dropout, clipping and batches of changing size.
template <class Model, class Recipe, class Backend>
std::vector<parameter> after_20_steps() {
  mpx::basic_trainer<Model, Recipe, Backend> trainer{{.lr = {.warmup = 10}, .seed = 3, .dropout = 0.2f}};
  for (int step = 0; step < 20; ++step) {
    auto const report = trainer.step(test::make_batch(9 + step % 8, 2 + step % 5, 6 - step % 4, 11, 13, static_cast<std::uint32_t>(step)));
    REQUIRE(!report.skipped);
  }
  std::vector<parameter> all;
  trainer.each_parameter([&](std::string const& name, auto const&) { all.push_back({name, {}}); });
  for (auto& one : all) one.values = trainer.parameter(one.name);
  return all;
}

bool same_bits(std::vector<parameter> const& a, std::vector<parameter> const& b) {
  bool same = a.size() == b.size() && !a.empty();
  for (std::size_t i = 0; same && i < a.size(); ++i)
    same = a[i].values.size() == b[i].values.size() &&
           std::memcmp(a[i].values.data(), b[i].values.data(), a[i].values.size() * sizeof(float)) == 0;
  return same;
}

/// Gradient descent, whose steps are as far apart as the gradients: 20 steps stay within PyTorch's bound for 3.
template <class Model, class Placement>
void learns_what_the_host_learns() {
  using on_gpu = recipe<Placement, mpx::f32_only, mpx::sgd, gpipe_4>;
  auto const host = after_20_steps<Model, recipe<mpx::place_all<>, mpx::f32_only, mpx::sgd, gpipe_4>, mpx::on_host::backend>();
  auto const gpu = after_20_steps<Model, on_gpu, mpx::cuda_backend<Model, on_gpu>>();
  REQUIRE(host.size() == gpu.size());
  double moved = 0;
  for (std::size_t i = 0; i < host.size(); ++i) {
    test::relative_error off;
    for (std::size_t k = 0; k < host[i].values.size(); ++k)
      if (!test::is_key_bias(host[i].name, k, 32)) off.add(gpu[i].values[k], host[i].values[k]);
    INFO(host[i].name);
    CHECK(off.value() <= 1e-5);
    moved += off.size;
  }
  CHECK(moved > 0);
}

template <class Model, class Precision, class TwoStages>
void keeps_its_bits() {
  auto const one = after_20_steps<Model, recipe<one_device, Precision, mpx::adam, gpipe_4>, mpx::on_cuda::backend>();
  CHECK(same_bits(one, after_20_steps<Model, recipe<one_device, Precision, mpx::adam, gpipe_4>, mpx::on_cuda::backend>()));
  CHECK(same_bits(one, after_20_steps<Model, recipe<TwoStages, Precision, mpx::adam, gpipe_4>, test::one_gpu>()));
  CHECK(same_bits(one, after_20_steps<Model, recipe<TwoStages, Precision, mpx::adam, one_f_one_b_4>, test::one_gpu>()));
}

}  // namespace

TEST_CASE("gpt2 learns on a GPU what it learns on the host", "[gpu][training]") {
  if (test::no_gpu()) return;
  learns_what_the_host_learns<test::small_gpt2, one_device>();
}

TEST_CASE("seq2seq learns on a GPU what it learns on the host", "[gpu][training]") {
  if (test::no_gpu()) return;
  learns_what_the_host_learns<test::small_seq2seq, one_device>();
}

TEST_CASE("half on the host and half on a GPU, models learn what they learn on the host", "[gpu][training]") {
  if (test::no_gpu()) return;
  learns_what_the_host_learns<test::small_gpt2, gpt2_on_both>();
  learns_what_the_host_learns<test::small_seq2seq, seq2seq_on_both>();
}

TEST_CASE("half on the host and half on a GPU, another run changes no bit, in bf16 and with two data ranks", "[gpu][training]") {
  if (test::no_gpu()) return;
  using both = mpx::recipe<gpt2_on_both, mpx::mesh<mpx::data<2>>, mpx::shard_optimizer, one_f_one_b_4, mpx::bf16_mixed,
                           mpx::clip_by_global_norm, mpx::noam, mpx::adam,
                           mpx::microbatch_capacity<mpx::sequences<4>, mpx::source_tokens<6>, mpx::target_tokens<6>>>;
  using backend = mpx::cuda_backend<test::small_gpt2, both>;
  CHECK(same_bits(after_20_steps<test::small_gpt2, both, backend>(), after_20_steps<test::small_gpt2, both, backend>()));
}

TEST_CASE("on a GPU neither another run nor another cut changes a bit", "[gpu][training]") {
  if (test::no_gpu()) return;
  keeps_its_bits<test::small_gpt2, mpx::f32_only, gpt2_in_two>();
  keeps_its_bits<test::small_seq2seq, mpx::bf16_mixed, seq2seq_in_two>();
}

namespace {

/// Each pass is done operation by operation, and the host decides.
struct one_by_one_machine : mpx::on_cuda::machine {
  using machine::machine;
  template <class Pass>
  void repeat(mpx::pass_name const&, Pass&& pass) {
    pass();
  }
  void begin_to_decide() = delete;
};
struct one_by_one : mpx::on_cuda::backend {
  using machine = one_by_one_machine;
};
static_assert(mpx::decides_updates<mpx::on_cuda::machine> && !mpx::decides_updates<one_by_one_machine>);

/// Losses, norms and parameters of 8 steps with dropout on batches of one size; the first loss scale is too large for f16.
template <class Model, class Recipe, class Backend>
std::vector<parameter> after_equal_steps(std::size_t& starts) {
  typename Recipe::settings settings;
  settings.lr.warmup = 10;
  settings.dropout = 0.2f;
  settings.loss_scaling.initial_scale = 0x1p22f;
  mpx::basic_trainer<Model, Recipe, Backend> trainer{settings};
  std::vector<parameter> all{{"reports", {}}};
  for (std::uint32_t step = 0; step < 8; ++step) {
    auto const report = trainer.step(test::make_batch(4, 6, 6, 11, 13, step));
    for (float const one : {static_cast<float>(report.loss), report.gradient_norm, static_cast<float>(report.skipped)})
      all[0].values.push_back(one);
  }
  trainer.each_parameter([&](std::string const& name, auto const&) { all.push_back({name, trainer.parameter(name)}); });
  starts = 0;
  trainer.devices().each_stage([&](auto& stage) { starts += stage.machine().pass_starts(); });
  return all;
}

template <class Model, class Precision>
void repeats_to_the_bit() {
  using run = mpx::recipe<one_device, mpx::one_f_one_b<mpx::microbatches<1>>, Precision, mpx::clip_by_global_norm, mpx::noam,
                          mpx::adam, mpx::dynamic_loss_scaling,
                          mpx::microbatch_capacity<mpx::sequences<4>, mpx::source_tokens<6>, mpx::target_tokens<6>>>;
  std::size_t starts = 0, none = 0;
  auto const repeated = after_equal_steps<Model, run, mpx::on_cuda::backend>(starts);
  CHECK(same_bits(repeated, after_equal_steps<Model, run, one_by_one>(none)));
  CHECK(starts == 7 * 3);  // forward, backward and update of all steps but the first
  CHECK(none == 0);
}

}  // namespace

TEST_CASE("passes that a GPU is asked for in one call keep their bits, and skip the same steps", "[gpu][training]") {
  if (test::no_gpu()) return;
  repeats_to_the_bit<test::small_gpt2, mpx::bf16_mixed>();
  repeats_to_the_bit<test::small_seq2seq, mpx::f16_mixed>();
}

TEST_CASE("a model learns to write numbers as words on a GPU, and is asked for them", "[gpu][training]") {
  if (test::no_gpu()) return;
  using model = mpx::seq2seq<mpx::source_vocabulary<11>, mpx::target_vocabulary<13>, mpx::width<32>, mpx::heads<4>,
                             mpx::feed_forward<64>, mpx::encoder_layers<1>, mpx::decoder_layers<1>, mpx::context<16>>;
  using of_words = mpx::recipe<one_device, mpx::gpipe<mpx::microbatches<1>>, mpx::bf16_mixed, mpx::dynamic_loss_scaling,
                               mpx::clip_by_global_norm, mpx::noam, mpx::adam,
                               mpx::microbatch_capacity<mpx::sequences<32>, mpx::source_tokens<8>, mpx::target_tokens<8>>>;
  mpx::cuda_trainer<model, of_words> trainer{{.lr = {.warmup = 100}, .seed = 42, .dropout = 0.0f}};
  double first = 0, last = 0;
  int steps = 0;
  for (int epoch = 0; epoch < 200 && steps < 300; ++epoch)
    for (auto const& batch : mpx::numbers_to_words{}.batches(32)) {
      last = trainer.step(batch).loss;
      if (steps++ == 0) first = last;
      if (steps >= 300) break;
    }
  CHECK(last < first / 3);
  for (auto const& batch : mpx::numbers_to_words{}.batches(32)) {
    CHECK(std::isfinite(trainer.evaluate(batch)));
    auto const answers = mpx::decode_greedily(trainer, batch, 1, 2, 6);
    CHECK(answers.size() == static_cast<std::size_t>(batch.size.sequences));
    break;
  }
}
