// Passes that are recorded and started in one call: they do what the same operations do one by one, whatever a pass asks for.
#include "cuda/taped_backend.hpp"

#include <cstddef>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <mpx/mpx.hpp>

#include "mpx_test.hpp"
#include "support/models.hpp"

namespace {

using test::emulated_graph;

/// What was done, in order. Puts append a letter; a body appends its number, and one of no blocks nothing.
std::string done;
struct put {
  char letter;
  void operator()() const { test::emulated_recorder::ask(*this); }
  void now() const { done += letter; }
  friend bool operator==(put const&, put const&) = default;
};
struct number_body {
  long number;
  std::size_t blocks = 1;
  [[nodiscard]] mpx::on_cuda::launch_size size() const { return {blocks, 32, 0}; }
};
struct number {
  number_body body;
  void operator()() const { test::emulated_recorder::ask(*this); }
  void now() const {
    if (body.blocks > 0) done += std::to_string(body.number);
  }
};
/// What a queue that is recorded cannot do.
struct wait {
  void operator()() const { now(); }
  void now() const {
    if (test::emulated_recorder::is_open()) throw mpx::error({"cannot be recorded", "queue", {}, {}});
    done += 'w';
  }
  friend bool operator==(wait const&, wait const&) = default;
};

using tape = mpx::on_cuda::tape<test::emulated_recorder>;

/// What one pass of this name does.
template <class Pass>
std::string does(tape& all, mpx::pass_name const& name, Pass&& pass) {
  done.clear();
  all.repeat(name, pass);
  return std::exchange(done, {});
}

/// What `count` passes do that ask for the same, and the passes that were started in one call.
template <class Pass>
std::pair<std::string, std::size_t> does(std::size_t count, Pass&& pass) {
  tape all;
  std::string each;
  for (std::size_t i = 0; i < count; ++i) each += does(all, {}, [&] { pass(all); }) + ' ';
  return {each, all.starts()};
}

}  // namespace

TEST_CASE("the first pass is done one by one, the second is recorded, later ones are one call", "[cuda][tape]") {
  auto const [each, starts] = does(5, [](tape& t) {
    t.call(put{'a'});
    t.call(number{{7}});
    CHECK((done.empty() || done == "a7"));  // one by one or not yet
    t.call(put{'b'});
  });
  CHECK(each == "a7b a7b a7b a7b a7b ");
  CHECK(starts == 4);
}

TEST_CASE("a body with other operands is changed in the graph, and only where they are others", "[cuda][tape]") {
  tape all;
  emulated_graph::changes = 0;
  for (int step = 0; step < 6; ++step) {
    long const changing = step < 4 ? step : 3;
    CHECK(does(all, {}, [&] {
      all.call(number{{8}});
      all.call(number{{changing}});
      all.call(number{{9}});
    }) == "8" + std::to_string(changing) + "9");
  }
  CHECK(all.starts() == 5);
  CHECK(emulated_graph::changes == 2);
}

TEST_CASE("a pass that asks for something else is done as it asks, and learnt anew", "[cuda][tape]") {
  auto const odd = [](char what) {
    tape all;
    std::string each;
    for (int step = 0; step < 7; ++step)
      each += does(all, {}, [&, other = step == 3] {
        all.call(put{'a'});
        all.call(number{{step}});
        if (other && what == 'p') all.call(put{'x'});            // an operation with other operands
        else if (other && what == 't') all.call(number{{0}});    // one of another type
        else if (other && what == 'b') all.call(number{{0, 2}});  // more of them below
        else all.call(put{'b'});
        if (other && what == 's') return;  // shorter
        all.call(number{{1, static_cast<std::size_t>(other && what == 'n' ? 0 : 1)}});  // a body of no blocks
        if (other && what == 'l') all.call(put{'z'});  // longer
      }) + ' ';
    CHECK(all.starts() == 5);  // all steps but the first and the odd one
    return each;
  };
  CHECK(odd('p') == "a0b1 a1b1 a2b1 a3x1 a4b1 a5b1 a6b1 ");
  CHECK(odd('t') == "a0b1 a1b1 a2b1 a301 a4b1 a5b1 a6b1 ");
  CHECK(odd('b') == "a0b1 a1b1 a2b1 a301 a4b1 a5b1 a6b1 ");
  CHECK(odd('s') == "a0b1 a1b1 a2b1 a3b a4b1 a5b1 a6b1 ");
  CHECK(odd('n') == "a0b1 a1b1 a2b1 a3b a4b1 a5b1 a6b1 ");
  CHECK(odd('l') == "a0b1 a1b1 a2b1 a3b1z a4b1 a5b1 a6b1 ");
}

TEST_CASE("what cannot be recorded is done, and after some tries no longer recorded", "[cuda][tape]") {
  auto const [each, starts] = does(8, [](tape& t) {
    t.call(put{'a'});
    t.call(wait{});
    t.call(put{'b'});
  });
  CHECK(each == "awb awb awb awb awb awb awb awb ");
  CHECK(starts == 0);

  auto const [interrupted, none] = does(8, [](tape& t) {
    t.call(put{'a'});
    t.interrupt();
    done += '!';  // what the host does when all before is under way
    t.call(put{'b'});
  });
  CHECK(interrupted == "a!b a!b a!b a!b a!b a!b a!b a!b ");
  CHECK(none == 0);

  auto const [by_another_way, without_calls] = does(8, [](tape& t) {
    t.call(put{'a'});
    mpx::on_cuda::open_pass::interrupt();  // as whoever takes the queue does
    put{'x'}();
    t.call(put{'b'});
  });
  CHECK(by_another_way == "axb axb axb axb axb axb axb axb ");
  CHECK(without_calls == 0);

  for (bool const at_end : {false, true}) {  // by one who has kept the queue: found when it is recorded
    auto const [unseen, none_either] = does(8, [&](tape& t) {
      t.call(put{'a'});
      if (!at_end) put{'x'}();
      t.call(put{'b'});
      if (at_end) put{'x'}();
    });
    CHECK(none_either == 0);
    CHECK(unseen.substr(0, 4) == (at_end ? "abx " : "axb "));
  }

  test::no_graph_can_be_made = true;
  auto const [without_graphs, nothing] = does(4, [](tape& t) { t.call(put{'a'}); });
  test::no_graph_can_be_made = false;
  CHECK(without_graphs == "a a a a ");
  CHECK(nothing == 0);
}

TEST_CASE("a graph that cannot be changed is not started", "[cuda][tape]") {
  test::no_body_can_be_changed = true;
  int step = 0;
  auto const [each, starts] = does(4, [&](tape& t) {
    t.call(put{'a'});
    t.call(number{{step++}});
  });
  test::no_body_can_be_changed = false;
  CHECK(each == "a0 a1 a2 a3 ");
  CHECK(starts == 2);  // as they were recorded
}

TEST_CASE("a pass that throws starts nothing that was not started, and the next one of its name is whole", "[cuda][tape]") {
  for (int const thrown_in : {0, 1, 2}) {
    tape all;
    for (int step = 0; step < 5; ++step) {
      auto const pass = [&] {
        all.call(put{'a'});
        if (step == thrown_in) throw std::runtime_error("a layer's own");
        all.call(put{'b'});
      };
      if (step == thrown_in) {
        done.clear();
        CHECK_THROWS_AS(all.repeat({}, pass), std::runtime_error);
        CHECK(done == (thrown_in == 0 ? "a" : ""));
      } else {
        CHECK(does(all, {}, pass) == "ab");
      }
    }
    CHECK(all.starts() >= 2);
  }
}

TEST_CASE("passes of other names have records of their own, and the oldest makes room", "[cuda][tape]") {
  tape all;
  auto const names = static_cast<int>(tape::most_graphs);
  auto const pass_of = [&](int stage) {
    mpx::pass_name name;
    name.stage = stage;
    return does(all, name, [&] { all.call(number{{stage}}); });
  };
  for (int round = 0; round < 3; ++round)
    for (int stage = 0; stage < names; ++stage) CHECK(pass_of(stage) == std::to_string(stage));
  CHECK(all.starts() == 2 * tape::most_graphs);
  pass_of(names);  // in the place of stage 0
  pass_of(1);
  CHECK(all.starts() == 2 * tape::most_graphs + 1);
  pass_of(0);  // in the place of stage 2: first of its name again
  CHECK(all.starts() == 2 * tape::most_graphs + 1);
}

namespace {

/// The same machine, which does every pass one by one, and leaves decisions to the host.
struct plain_machine : test::taped_machine {
  template <class Pass>
  void repeat(mpx::pass_name const&, Pass&& pass) {
    pass();
  }
  void begin_to_decide() = delete;
};
struct plain_backend : test::taped_backend {
  using machine = plain_machine;
};
static_assert(mpx::decides_updates<test::taped_machine> && !mpx::decides_updates<plain_machine>);

template <class Schedule, class Precision, std::size_t Sequences>
using recipe = mpx::recipe<mpx::place_all<mpx::cuda<0>>, Schedule, Precision, mpx::clip_by_global_norm, mpx::noam, mpx::adam,
                           mpx::dynamic_loss_scaling,
                           mpx::microbatch_capacity<mpx::sequences<Sequences>, mpx::source_tokens<5>, mpx::target_tokens<5>>>;

/// Losses, norms, logits and all parameters of a training with dropout, whose batches change their sizes once. Its first loss
/// scale is too large where f16 is the compute type: steps are skipped.
template <class Model, class Recipe, class Backend>
std::vector<float> trained(std::size_t& starts, int& skips) {
  typename Recipe::settings settings;
  settings.lr.warmup = 10;
  settings.seed = 3;
  settings.dropout = 0.2f;
  settings.loss_scaling.initial_scale = 0x1p20f;
  mpx::basic_trainer<Model, Recipe, Backend> trainer{settings};
  std::vector<float> all;
  for (std::uint32_t step = 0; step < 7; ++step) {
    int const tokens = step == 4 ? 3 : 5;
    auto const batch = test::make_batch(4, tokens, tokens, 11, 13, step);
    auto const report = trainer.step(batch);
    all.push_back(static_cast<float>(report.loss));
    all.push_back(report.gradient_norm);
    all.push_back(report.skipped);
    if (step < 5) continue;
    all.push_back(static_cast<float>(trainer.evaluate(batch)));
    for (float const one : trainer.next_token_logits(batch)) all.push_back(one);
  }
  trainer.each_parameter([&](std::string const& name, auto const&) {
    for (float const one : trainer.parameter(name)) all.push_back(one);
  });
  skips = static_cast<int>(trainer.skipped_steps());
  starts = 0;
  trainer.devices().each_stage([&](auto& stage) { starts += stage.machine().pass_starts(); });
  return all;
}

template <class Model, class Recipe>
void keeps_its_bits(std::size_t expected_starts, int skipped = 0) {
  std::size_t starts = 0, none = 0;
  int skips = 0;
  auto const repeated = trained<Model, Recipe, test::taped_backend>(starts, skips);
  CHECK(skips == skipped);
  auto const plain = trained<Model, Recipe, plain_backend>(none, skips);
  REQUIRE(repeated.size() == plain.size());
  CHECK(std::memcmp(repeated.data(), plain.data(), plain.size() * sizeof(float)) == 0);
  CHECK(none == 0);
  CHECK(starts == expected_starts);
}

using gpt2 = mpx::gpt2<mpx::vocabulary<16>, mpx::width<8>, mpx::heads<2>, mpx::layers<1>, mpx::context<8>>;
using seq2seq = mpx::seq2seq<mpx::source_vocabulary<11>, mpx::target_vocabulary<13>, mpx::width<8>, mpx::heads<2>,
                             mpx::feed_forward<8>, mpx::encoder_layers<1>, mpx::decoder_layers<1>, mpx::context<8>>;

}  // namespace

TEST_CASE("a training whose passes are repeated has the bits of one whose are not, and skips the same steps", "[cuda][tape][decide]") {
  // Six steps of one size, of which all but the first are started in one call a pass: forward and backward of two
  // microbatches, which work on two copies of the saved activations. The update's pass is the other step's too. An evaluation
  // and a forward for logits follow the last two steps, whose two microbatches work on one copy: the first is done one by one.
  keeps_its_bits<gpt2, recipe<mpx::gpipe<mpx::microbatches<2>>, mpx::f16_mixed, 2>>(5 * 4 + 6 + 2 * 3, 3);
}

TEST_CASE("and so in bf16, with an encoder, and with backwards in halves", "[cuda][tape]") {
  keeps_its_bits<seq2seq, recipe<mpx::one_f_one_b<mpx::microbatches<1>>, mpx::bf16_mixed, 4>>(5 * 2 + 6 + 2 * 1);
  keeps_its_bits<gpt2, recipe<mpx::zb_h1<mpx::microbatches<2>>, mpx::bf16_mixed, 2>>(5 * 6 + 6 + 2 * 3);
}

TEST_CASE("a decision adds up squares and losses as the host does", "[cuda][decide]") {
  using by = mpx::decides_update<mpx::clip_by_global_norm>;
  constexpr std::size_t at_once = mpx::on_cuda::decide<by>::at_once;
  // Portions of layers: none, around what is in shared memory at once, and more layers than threads.
  for (std::vector<std::size_t> portions : {std::vector<std::size_t>{3}, {0, 1, 0}, {at_once, 1}, {at_once - 1, 2, 2 * at_once},
                                            std::vector<std::size_t>(300, 7)}) {
    std::vector<std::size_t> first{0};
    for (auto const n : portions) first.push_back(first.back() + n);
    std::vector<float> squares, losses{0.25f, 3.0f, 1e-3f};
    for (std::size_t i = 0; i < 2 * first.back(); ++i) squares.push_back(static_cast<float>((i * 7919) % 1009) / 17.0f);

    float sum = 0, loss = 0;
    for (std::size_t l = 0; l < portions.size(); ++l) {
      float slices = 0, copies = 0;
      for (std::size_t i = first[l]; i < first[l + 1]; ++i) {
        slices += squares[2 * i];
        copies += squares[2 * i + 1];
      }
      sum += copies + slices;
    }
    for (float const one : losses) loss += one;
    for (float const bad : {0.0f, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()})
      for (bool const in_losses : {true, false}) {
        auto all_squares = squares;
        auto all_losses = losses;
        (in_losses ? all_losses : all_squares).back() += bad;
        mpx::update_decision decision{false, -1, -1};
        mpx::on_cuda::decision_operands of;
        of.decision = &decision;
        of.squares = all_squares.data();
        of.portions = first.back();
        of.first_portion = first.data();
        of.layers = portions.size();
        of.losses = all_losses.data();
        of.microbatches = losses.size();
        test::emulate(mpx::on_cuda::decide<by>{of, {{.max_norm = 0.5f}, 4.0f}}, 64);
        CHECK(decision.finite == (bad == 0.0f));
        if (bad != 0.0f) continue;
        auto const host = mpx::decide_update(mpx::clip_by_global_norm{.max_norm = 0.5f}, sum, loss, 4.0f);
        CHECK(decision.norm == host.norm);
        CHECK(decision.factor == host.factor);
      }
  }
}
