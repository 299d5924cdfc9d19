// Devices that fail, stall or compute what is not finite: all of them stop, nothing has changed, the next step works.
#include <mpx_test.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <limits>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <mpx/mpx.hpp>

#include "support/models.hpp"
#include "support/parameters.hpp"

namespace {

using namespace std::chrono_literals;

enum class trouble { none, throws_in_forward, throws_in_backward, stalls_in_forward, infinite_gradient };

std::atomic<trouble> planned{trouble::none};
std::atomic<int> calls_before{0};  ///< pieces of work of the planned kind that still go well

/// True once, in the piece of work that is to go wrong.
bool strikes(trouble kind) {
  if (planned != kind || calls_before-- > 0) return false;
  planned = trouble::none;
  return true;
}

void plan_trouble(trouble kind, int after) {
  calls_before = after;
  planned = kind;
}

/// y = x, on a bad day.
struct fragile : mpx::layer_defaults {
  using row_label = mpx::name<"fragile">;
  using takes = mpx::message<mpx::stream<"x", 8>>;
  using gives = takes;
  using parameters = boost::hana::tuple<mpx::parameter<"weight", mpx::shape<8>, mpx::init::ones>>;
  static constexpr std::array<mpx::tensor_extent, 1> saves{{{mpx::axis::target, 8}}};
  static constexpr bool keeps_input = true;

  template <class C, class T> static void forward(C const& c, T const*, T const*, T const* x, T* y, std::byte*) {
    if (strikes(trouble::throws_in_forward)) throw std::domain_error("fragile: a forward went wrong");
    if (strikes(trouble::stalls_in_forward)) std::this_thread::sleep_for(1200ms);
    std::copy(x, x + c.rows(mpx::axis::target) * 8, y);
  }
  template <class C, class T, class A>
  static void backward(C const& c, T const*, A* gradients, T const*, T const* dy, T* dx, std::byte*) {
    if (strikes(trouble::throws_in_backward)) throw std::domain_error("fragile: a backward went wrong");
    if (strikes(trouble::infinite_gradient)) gradients[3] = std::numeric_limits<A>::infinity();
    std::copy(dy, dy + c.rows(mpx::axis::target) * 8, dx);
  }
};

// embedding, linear | fragile, linear | head, loss; the table is tied to the head on the last device.
using model = mpx::sequential<mpx::token_embedding<13, 8, "inputs">, mpx::linear<8, 8>, fragile, mpx::linear<8, 8>,
                              mpx::tied_language_head<8, 13, "embedding.weight">, mpx::cross_entropy<13>>;
using recipe = mpx::recipe<mpx::place_evenly<3>, mpx::one_f_one_b<mpx::microbatches<4>>, mpx::adam,
                           mpx::microbatch_capacity<mpx::sequences<2>, mpx::tokens<8>>>;
using trainer_type = mpx::trainer<model, recipe>;

static_assert(mpx::device_of<model, recipe, "fragile"> == mpx::host<1>{});

mpx::batch text() { return test::make_batch(8, 5, 7); }

/// Two trainers after the same first step: one that trouble will come to, one that it will not.
struct pair {
  trainer_type trainer, untroubled;
  std::vector<unsigned char> before;

  explicit pair(int deadline_ms) : trainer{{.deadline_ms = deadline_ms}}, untroubled{{}} {
    trainer.step(text());
    untroubled.step(text());
    before = test::all_bytes(trainer);
  }

  void check_as_if_nothing_happened() {
    CHECK(test::all_bytes(trainer) == before);
    CHECK(trainer.steps() == 1);
    CHECK(trainer.evaluate(text()) == untroubled.evaluate(text()));
    for (int s = 0; s < 2; ++s) {
      auto const after = trainer.step(text()), expected = untroubled.step(text());
      CHECK(after.step == expected.step);
      CHECK(after.loss == expected.loss);
      CHECK(after.gradient_norm == expected.gradient_norm);
    }
    CHECK(test::all_bytes(trainer) == test::all_bytes(untroubled));
  }
};

}  // namespace

TEST_CASE("what a layer throws on one of three devices comes out of step, and nothing has changed",
          "[runtime][failure]") {
  constexpr int deadline_ms = 20'000;
  pair p(deadline_ms);
  for (auto kind : {trouble::throws_in_forward, trouble::throws_in_backward})
    for (int microbatch : {0, 2, 3}) {
      plan_trouble(kind, microbatch);
      auto const begin = std::chrono::steady_clock::now();
      CHECK_THROWS_AS(p.trainer.step(text()), std::domain_error);
      CHECK(std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(deadline_ms / 2));  // nobody waited
      CHECK(planned == trouble::none);
      CHECK(test::all_bytes(p.trainer) == p.before);
    }
  CHECK(p.trainer.skipped_steps() == 0);
  p.check_as_if_nothing_happened();
}

TEST_CASE("what a layer throws in an evaluation comes out of it, and the next one works", "[runtime][failure]") {
  pair p(20'000);
  plan_trouble(trouble::throws_in_forward, 1);
  CHECK_THROWS_WITH(p.trainer.evaluate(text()), "fragile: a forward went wrong");
  plan_trouble(trouble::throws_in_forward, 3);
  CHECK_THROWS_WITH(p.trainer.next_token_logits(text()), "fragile: a forward went wrong");
  p.check_as_if_nothing_happened();
}

TEST_CASE("a stage that stalls past the deadline ends the step with an error that names who waits for whom",
          "[runtime][failure]") {
  pair p(500);
  for (int microbatch : {0, 3}) {
    plan_trouble(trouble::stalls_in_forward, microbatch);
    try {
      p.trainer.step(text());
      FAIL("nothing was thrown");
    } catch (mpx::error const& e) {
      INFO(e.what());
      CHECK(e.details.what.find("past the deadline") != std::string::npos);
      // Either neighbour may be the first to lose patience.
      bool const after = e.details.where == "x, stage 1 -> stage 2",
                 before = e.details.where == "gradient of x, stage 1 -> stage 0";
      CHECK((after || before));
      CHECK(e.details.expected == "within 500 ms");
    }
    CHECK(test::all_bytes(p.trainer) == p.before);
  }
  p.check_as_if_nothing_happened();
}

TEST_CASE("a gradient that is not finite on one device alone skips the step on all", "[runtime][failure]") {
  pair p(20'000);
  plan_trouble(trouble::infinite_gradient, 1);
  auto const report = p.trainer.step(text());
  CHECK(report.skipped);
  CHECK(report.step == 1);
  CHECK(p.trainer.skipped_steps() == 1);
  p.check_as_if_nothing_happened();
}
