// Host and GPU in one placement. The GPU is emulated, with memory that the host cannot read: tests/cuda/apart_backend.hpp.
#include "cuda/apart_backend.hpp"

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <mpx/mpx.hpp>

#include "support/models.hpp"
#include "support/said.hpp"
#include "train/golden.hpp"

namespace {

using gpu = mpx::cuda<0>;
using cpu = mpx::host<0>;
using gpt2 = mpx::gpt2<mpx::vocabulary<16>, mpx::width<8>, mpx::heads<2>, mpx::layers<1>, mpx::context<4>>;
using seq2seq = mpx::seq2seq<mpx::source_vocabulary<11>, mpx::target_vocabulary<13>, mpx::width<8>, mpx::heads<2>,
                             mpx::feed_forward<8>, mpx::encoder_layers<1>, mpx::decoder_layers<1>, mpx::context<4>>;

// The table is tied to the head.
template <class Embedding, class Layers, class Head>
using gpt2_on = mpx::place_at<mpx::at<"embedding", Embedding>, mpx::at<"layers", Layers>, mpx::at<"norm", Layers>,
                              mpx::at<"head", Head>, mpx::at<"loss", Head>>;
template <class Encoder, class Decoder>
using seq2seq_on = mpx::place_at<mpx::at<"encoder", Encoder>, mpx::at<"decoder", Decoder>>;

template <class Placement, class... Policies>
using recipe = mpx::recipe<Placement, mpx::gpipe<mpx::microbatches<2>>, mpx::clip_by_global_norm, mpx::noam, mpx::sgd,
                           mpx::microbatch_capacity<mpx::sequences<2>, mpx::source_tokens<4>, mpx::target_tokens<4>>,
                           Policies...>;

struct parameter {
  std::string name;
  std::vector<float> values;
  friend bool operator==(parameter const&, parameter const&) = default;
};

/// All parameters after 2 steps with dropout and clipping.
template <class Model, class Recipe, class Backend = test::mixed>
std::vector<parameter> after_2_steps() {
  mpx::basic_trainer<Model, Recipe, Backend> trainer{{.lr = {.warmup = 10}, .seed = 3, .dropout = 0.2f}};
  for (int step = 0; step < 2; ++step) {
    auto const report = trainer.step(test::make_batch(4, 3, 4 - step, 11, 13, static_cast<std::uint32_t>(step)));
    REQUIRE(!report.skipped);
  }
  std::vector<parameter> all;
  trainer.each_parameter([&](std::string const& name, auto const&) { all.push_back({name, {}}); });
  for (auto& one : all) one.values = trainer.parameter(one.name);
  return all;
}

/// As far as tests/gpu/training.cpp allows.
void are_close(std::vector<parameter> const& host, std::vector<parameter> const& mixed) {
  REQUIRE(host.size() == mixed.size());
  REQUIRE(!host.empty());
  for (std::size_t i = 0; i < host.size(); ++i) {
    test::relative_error off;
    for (std::size_t k = 0; k < host[i].values.size(); ++k)
      if (!test::is_key_bias(host[i].name, k, 8)) off.add(mixed[i].values[k], host[i].values[k]);
    INFO(host[i].name);
    CHECK(off.value() <= 1e-5);
  }
}

template <class First, class Second>
concept can_be_mixed = requires { typename mpx::mixed_backend<First, Second>; };

}  // namespace

static_assert(can_be_mixed<test::noted_host_backend, test::apart_backend>);
static_assert(!can_be_mixed<test::apart_backend, test::apart_backend> && !can_be_mixed<test::apart_backend, int>);
static_assert(mpx::offers_kind<test::mixed, mpx::device_kind::host> && mpx::offers_kind<test::mixed, mpx::device_kind::cuda>);
static_assert(!mpx::offers_kind<mpx::on_host::backend, mpx::device_kind::cuda>);
static_assert(std::same_as<mpx::backend_on<test::mixed, mpx::device_kind::cuda>, test::apart_backend>);
static_assert(std::same_as<mpx::backend_on<mpx::on_host::backend, mpx::device_kind::host>, mpx::on_host::backend>);

TEST_CASE("gpt2 learns on host and GPU what it learns on the host, its table on either side of its head", "[cuda][mixed]") {
  auto const host = after_2_steps<gpt2, recipe<mpx::place_all<>>, mpx::on_host::backend>();
  are_close(host, after_2_steps<gpt2, recipe<gpt2_on<cpu, gpu, gpu>>>());
  are_close(host, after_2_steps<gpt2, recipe<gpt2_on<gpu, gpu, cpu>>>());
}

TEST_CASE("seq2seq learns on host and GPU what it learns on the host", "[cuda][mixed]") {
  auto const host = after_2_steps<seq2seq, recipe<mpx::place_all<>>, mpx::on_host::backend>();
  are_close(host, after_2_steps<seq2seq, recipe<seq2seq_on<cpu, gpu>>>());
}

TEST_CASE("on host and GPU neither another run nor another way through the stages changes a bit", "[cuda][mixed]") {
  using placement = gpt2_on<cpu, gpu, cpu>;  // its first and its last stage share a table
  auto const one = after_2_steps<gpt2, recipe<placement>>();
  CHECK(one == after_2_steps<gpt2, recipe<placement>>());
  CHECK(one == after_2_steps<gpt2, recipe<gpt2_on<cpu, gpu, mpx::host<1>>>>());
}

TEST_CASE("data and tensor ranks of a mesh each have host and GPU", "[cuda][mixed]") {
  using placement = gpt2_on<cpu, gpu, gpu>;
  auto const host = after_2_steps<gpt2, recipe<mpx::place_all<>>, mpx::on_host::backend>();
  are_close(host, after_2_steps<gpt2, recipe<placement, mpx::mesh<mpx::data<2>, mpx::tensor<2>>, mpx::shard_optimizer>>());
}

TEST_CASE("what the host lends to a GPU's messages and tied gradients is used to its last cache line", "[cuda][mixed]") {
  using run = recipe<gpt2_on<cpu, gpu, gpu>>;
  mpx::basic_trainer<gpt2, run, test::mixed> trainer;
  constexpr auto& plan = trainer.plan;
  constexpr auto& host = plan.stages[0];
  static_assert(plan.stage_count == 2 && host.where == cpu{});
  auto& devices = trainer.devices();
  for (std::size_t d = 0; d < plan.device_count; ++d) CHECK(devices.arena(d).size() == plan.arena_bytes[d]);
  for (auto const region : {host.tied_gradients, host.outgoing_forward, host.incoming_backward}) {
    CAPTURE(region.offset, region.size);
    REQUIRE(region.size > 0);
    constexpr std::byte paint{0xa5};
    auto const bytes = devices.arena(0).subspan(region.offset, region.size);
    std::fill(bytes.begin(), bytes.end(), paint);
    trainer.step(test::make_batch(4, 4, 4));
    std::size_t used = bytes.size();
    while (used > 0 && bytes[used - 1] == paint) --used;
    CHECK(mpx::aligned(used) == region.size);
  }
  CHECK(devices.channels().forward(0, 0).bytes_sent() == 3 * plan.link_bytes(0).count);
  CHECK(devices.channels().backward(0, 0).bytes_sent() == 3 * plan.link_bytes(0).count);
}

TEST_CASE("the GPU of these tests refuses what it cannot reach, and so does a host", "[cuda][mixed]") {
  test::noted_host_backend::memory on_host(64);
  test::apart_backend::memory on_gpu(64);
  auto* const hosts = reinterpret_cast<float*>(on_host.data());
  auto* const gpus = reinterpret_cast<float*>(on_gpu.data());
  test::apart_machine machine;
  CHECK(test::said([&] { machine.zero(hosts, 4); }).find("memory of another device") != std::string::npos);
  CHECK(test::said([&] { machine.scale(gpus, hosts, 2.0f, 4); }).find("an arena of the host") != std::string::npos);
  mpx::gemm_shape const one{.m = 1, .n = 1, .k = 1};
  CHECK(test::said([&] { machine.gemm(one, gpus, gpus, hosts, gpus); }).find("memory of another device") != std::string::npos);
  CHECK(test::said([&] { test::host_thread_memory::copy(hosts, gpus, 1); }).find("memory of a GPU") != std::string::npos);
  CHECK(test::said([&] { machine.scale(gpus, gpus, 2.0f, 4); }).empty());
}

namespace {

/// Told the wrong kind: of a channel's two ends, or of the memory where gradients meet.
struct ends_swapped : test::mixed {
  struct channel : test::mixed::channel {
    channel(std::string name, std::span<std::byte> storage, std::size_t slots, clock::duration deadline,
            mpx::device_kind from = kind, mpx::device_kind to = kind)
        : test::mixed::channel(std::move(name), storage, slots, deadline, to, from) {}
  };
};
struct met_on_the_gpu : test::mixed {
  struct group : test::mixed::group {
    group(std::string name, int ranks, clock::duration deadline, mpx::device_kind where = kind)
        : test::mixed::group(std::move(name), ranks, deadline, where) {}
    group(std::string name, int ranks, clock::duration deadline, std::size_t summands, mpx::device_kind = kind)
        : test::mixed::group(std::move(name), ranks, deadline, summands, mpx::device_kind::cuda) {}
  };
};

}  // namespace

TEST_CASE("a copy or a sum on the wrong side is an error", "[cuda][mixed]") {
  using run = recipe<gpt2_on<cpu, gpu, gpu>>;
  CHECK(test::said([] { after_2_steps<gpt2, run, ends_swapped>(); }).find("memory of a GPU, at work on the host") != std::string::npos);
  CHECK(test::said([] { after_2_steps<gpt2, run, met_on_the_gpu>(); }).find("an arena of the host") != std::string::npos);
}
