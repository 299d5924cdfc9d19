// What a trainer offers around its steps.
#include <mpx_test.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include <mpx/mpx.hpp>

#include "support/models.hpp"
#include "support/parameters.hpp"

namespace {

using capacity = mpx::microbatch_capacity<mpx::sequences<4>, mpx::tokens<8>>;

// A table that is also the head, two linear layers, dropout between them.
struct model : mpx::sequential<mpx::token_embedding<13, 8, "inputs">, mpx::linear<8, 8>, mpx::dropout<8>,
                               mpx::section<"top", mpx::linear<8, 8>>,
                               mpx::tied_language_head<8, 13, "embedding.weight">, mpx::cross_entropy<13>> {
  static constexpr std::size_t width = 8;
};
using plain = mpx::trainer<model, mpx::recipe<mpx::sgd, mpx::static_loss_scaling, mpx::clip_by_global_norm, capacity>>;
using with_noam = mpx::trainer<model, mpx::recipe<mpx::noam, capacity>>;

/// y = x, by a layer that reads the targets too.
struct peek : mpx::layer_defaults {
  using takes = mpx::message<mpx::stream<"x", 8>>;
  using gives = takes;
  using feeds = mpx::message<mpx::feed<"targets", mpx::axis::target, 13, false, true>>;
  static constexpr bool in_place = true;

  template <class C, class T> static void forward(C const&, T const*, T const*, T const*, T*, std::byte*) {}
  template <class C, class T, class A>
  static void backward(C const& c, T const*, A*, T const*, T const* dy, T* dx, std::byte*) {
    std::copy(dy, dy + c.rows(mpx::axis::target) * 8, dx);
  }
};
using peeking =
    mpx::sequential<mpx::token_embedding<13, 8, "inputs">, peek, mpx::language_head<8, 13>, mpx::cross_entropy<13>>;

mpx::batch text() { return test::make_batch(3, 5, 7); }

template <class Trainer> std::vector<std::string> names(Trainer& trainer) {
  std::vector<std::string> out;
  trainer.each_parameter([&](std::string const& name, auto const&) { out.push_back(name); });
  return out;
}

std::vector<float> copied(std::span<float const> values) { return {values.begin(), values.end()}; }

}  // namespace

TEST_CASE("parameters are called by layer, section and label, in the model's order", "[train][trainer]") {
  plain trainer;
  CHECK(names(trainer) == std::vector<std::string>{"embedding.weight", "linear.weight", "linear.bias",
                                                   "top.linear.weight", "top.linear.bias", "head.weight"});
  CHECK(trainer.parameter("linear.weight").size() == 64);
  CHECK(trainer.gradient("top.linear.bias").size() == 8);
}

TEST_CASE("a parameter that does not exist, and values of another size, are refused", "[train][trainer]") {
  plain trainer;
  auto const before = test::all_bytes(trainer);
  CHECK_THROWS_WITH(trainer.parameter("linear.weights"),
                    Catch::Contains("no such parameter") && Catch::Contains("\"linear.weights\""));
  CHECK_THROWS_AS(trainer.gradient("weight"), mpx::error);
  CHECK_THROWS_AS(trainer.set_parameter("", std::vector<float>(64)), mpx::error);
  CHECK_THROWS_WITH(trainer.set_parameter("linear.weight", std::vector<float>(63)),
                    "parameter has another size (linear.weight): expected 64 values, got 63");
  CHECK(test::all_bytes(trainer) == before);
}

TEST_CASE("setting a tied parameter sets both holders, whichever of the two is named", "[train][trainer]") {
  plain trainer;
  for (char const* name : {"embedding.weight", "head.weight"}) {
    std::vector<float> values(13 * 8, name[0] == 'e' ? 0.25f : 0.5f);
    trainer.set_parameter(name, values);
    CHECK(copied(trainer.parameter("embedding.weight")) == values);
    CHECK(copied(trainer.parameter("head.weight")) == values);
  }
}

TEST_CASE("settings out of range are refused before anything is built", "[train][trainer]") {
  float const nan = std::numeric_limits<float>::quiet_NaN();
  for (float rate : {-0.1f, 1.0f, nan}) {
    CHECK_THROWS_WITH((plain{{.dropout = rate}}),
                      Catch::Contains("bad dropout rate") && Catch::Contains("0 or more, below 1"));
    CHECK_THROWS_WITH((plain{{.label_smoothing = rate}}), Catch::Contains("bad label smoothing"));
  }
  for (int deadline : {0, -1}) CHECK_THROWS_WITH((plain{{.deadline_ms = deadline}}), Catch::Contains("bad deadline"));
  CHECK_NOTHROW(plain{{.dropout = 0.0f, .label_smoothing = 0.0f, .deadline_ms = 1}});
}

TEST_CASE("a report says what the step did", "[train][trainer]") {
  plain trainer{
      {.clipping = {.max_norm = 100.0f}, .lr = {.peak = 0.5f}, .loss_scaling = {.factor = 256}, .dropout = 0}};
  auto const batch = text();
  double const before = trainer.evaluate(batch);
  auto const report = trainer.step(batch);
  CHECK(report.step == 1);
  CHECK(trainer.steps() == 1);
  CHECK(report.loss == before);
  CHECK(report.tokens == 7 + 6 + 5);  // each sequence is one shorter than the one before it
  CHECK(report.learning_rate == 0.5f);
  CHECK(report.loss_scale == 256);
  CHECK(!report.skipped);
  CHECK(report.seconds > 0);
  CHECK(report.tokens_per_second() == 18 / report.seconds);

  double squares = 0;  // of all parameters, the tied one once; gradients are those of 256 times the loss
  for (auto const& name : names(trainer))
    if (name != "head.weight")
      for (float g : trainer.gradient(name)) squares += std::pow(g / 256.0, 2);
  CHECK(report.gradient_norm == Approx(std::sqrt(squares)).epsilon(1e-6));

  std::ostringstream line;
  line << report;
  CHECK(line.str().starts_with("step 1  loss " + std::to_string(report.loss).substr(0, 4)));
  CHECK(line.str().find("skipped") == std::string::npos);
}

TEST_CASE("targets that two devices read are counted once", "[train][trainer]") {
  using recipe = mpx::recipe<mpx::place_evenly<2>, capacity>;
  static_assert(mpx::plan_v<peeking, recipe>.stages[0].feed_count ==
                2);  // inputs and targets; the loss is on the other stage
  mpx::trainer<peeking, recipe> trainer;
  auto const report = trainer.step(text());
  CHECK(report.tokens == 18);
  CHECK(report.loss == Approx(std::log(13.0)).epsilon(0.01));
}

TEST_CASE("a step moves each weight by rate times the unscaled, clipped gradient", "[train][trainer]") {
  for (float max_norm : {100.0f, 0.01f}) {
    plain trainer{
        {.clipping = {.max_norm = max_norm}, .lr = {.peak = 0.5f}, .loss_scaling = {.factor = 256}, .dropout = 0}};
    std::vector<std::vector<float>> before;
    for (auto const& name : names(trainer)) before.push_back(copied(trainer.parameter(name)));
    float const norm = trainer.step(text()).gradient_norm;
    CHECK(norm > 0.01f);
    CHECK(norm < 100.0f);
    double const factor = 0.5 / 256 * (norm > max_norm ? max_norm / norm : 1);
    std::size_t k = 0;
    for (auto const& name : names(trainer)) {
      auto const after = trainer.parameter(name), gradient = trainer.gradient(name);
      for (std::size_t i = 0; i < after.size(); ++i)
        if (std::abs(after[i] - (before[k][i] - factor * gradient[i])) > 1e-7) FAIL(name << ", element " << i);
      ++k;
    }
  }
}

TEST_CASE("an evaluation changes nothing", "[train][trainer]") {
  plain trainer{{.seed = 9, .dropout = 0.2f}}, untroubled{{.seed = 9, .dropout = 0.2f}};
  trainer.step(text());
  untroubled.step(text());
  auto const before = test::all_bytes(trainer);
  auto const other = test::make_batch(2, 5, 4, 11, 13, 77);
  double const loss = trainer.evaluate(other);
  CHECK(trainer.evaluate(other) == loss);
  CHECK(trainer.next_token_logits(other) == trainer.next_token_logits(other));
  CHECK(test::all_bytes(trainer) == before);
  CHECK(trainer.steps() == 1);
  CHECK(trainer.step(text()).loss == untroubled.step(text()).loss);
  CHECK(test::all_bytes(trainer) == test::all_bytes(untroubled));
}

TEST_CASE("the same seed gives the same run, bit for bit; another seed another run", "[train][trainer]") {
  auto const run = [](std::uint64_t seed) {
    plain trainer{{.lr = {.peak = 0.1f}, .seed = seed, .dropout = 0.2f}};
    for (int s = 0; s < 3; ++s) trainer.step(text());
    return test::all_bytes(trainer);
  };
  CHECK(run(4) == run(4));
  CHECK(run(4) != run(5));
}

TEST_CASE("noam takes the model's width unless the user gave one", "[train][trainer]") {
  with_noam of_model{{.lr = {.warmup = 4}}}, of_user{{.lr = {.warmup = 4, .width = 32}}};
  // factor / sqrt(width) * step / warmup^1.5
  CHECK(of_model.step(text()).learning_rate == Approx(1 / std::sqrt(8.0) / 8));
  CHECK(of_user.step(text()).learning_rate == Approx(1 / std::sqrt(32.0) / 8));
  CHECK(of_model.step(text()).learning_rate == Approx(2 / std::sqrt(8.0) / 8));
}

TEST_CASE("a loss falls when its batch is seen again and again", "[train][trainer]") {
  with_noam trainer{{.lr = {.factor = 0.5f, .warmup = 10}, .dropout = 0}};
  double const first = trainer.step(text()).loss;
  double last = first;
  for (int s = 0; s < 60; ++s) last = trainer.step(text()).loss;
  CHECK(first > 2.3);  // near log(13)
  CHECK(last < 1.5);
}
