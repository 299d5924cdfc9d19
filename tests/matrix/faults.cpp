// The checks of the matrix find a plan that is wrong by the least that it can be.
#include "matrix.hpp"

namespace {

using recipe = test::matrix_recipe<mpx::bf16_mixed, mpx::place_evenly<3>, test::one_f_one_b_4, mpx::recompute_block>;
using sound_plan = std::remove_cvref_t<decltype(mpx::plan_v<test::small_seq2seq, recipe>)>;
constexpr sound_plan const& sound = mpx::plan_v<test::small_seq2seq, recipe>;

test::measured const& run() {
  static auto const once = test::measure<test::small_seq2seq, recipe>();
  return once;
}

/// Differences of a plan in which one thing has been changed.
template <class Change>
std::vector<std::string> after(Change change) {
  sound_plan plan = sound;
  change(plan);
  return test::differences(plan, run());
}

bool mentions(std::vector<std::string> const& said, std::string const& what) {
  for (auto const& one : said)
    if (one.find(what) != std::string::npos) return true;
  return false;
}

/// Takes the first action of this kind and stage out of the lists; false where there is none.
template <class Lists>
bool remove(Lists& lists, mpx::action_kind kind, int stage) {
  for (std::size_t d = 0; d + 1 < lists.begin.size(); ++d)
    for (std::size_t i = lists.begin[d]; i < lists.begin[d + 1]; ++i) {
      if (lists.actions[i].kind != kind || lists.actions[i].stage != stage) continue;
      for (std::size_t k = i; k + 1 < lists.actions.size(); ++k) lists.actions[k] = lists.actions[k + 1];
      for (std::size_t later = d + 1; later < lists.begin.size(); ++later) --lists.begin[later];
      return true;
    }
  return false;
}

}  // namespace

TEST_CASE("the sound plan differs in nothing", "[matrix][faults]") {
  CHECK(after([](auto&) {}) == test::none{});
}

TEST_CASE("a region that is a byte too large or too small is found", "[matrix][faults]") {
  using stage = mpx::stage_info;
  struct named {
    char const* name;
    mpx::region stage::*region;
  };
  named const regions[]{{"weights", &stage::weights},
                        {"master", &stage::master},
                        {"gradients", &stage::gradients},
                        {"states", &stage::states},
                        {"saved", &stage::saved},
                        {"working", &stage::working},
                        {"held gradients", &stage::held_gradients},
                        {"outgoing", &stage::outgoing},
                        {"scratch", &stage::scratch},
                        {"incoming forward", &stage::incoming_forward},
                        {"incoming backward", &stage::incoming_backward}};
  for (std::size_t s = 0; s < sound.stage_count; ++s)
    for (auto const& [name, region] : regions) {
      if ((sound.stages[s].*region).size == 0) continue;
      CAPTURE(s, name);
      std::string const what = "stage " + std::to_string(s) + ", " + name + ": planned";
      CHECK(mentions(after([&](auto& plan) { (plan.stages[s].*region).size += 1; }), what));
      CHECK(mentions(after([&](auto& plan) { (plan.stages[s].*region).size -= 1; }), what));
      CHECK(mentions(after([&](auto& plan) { (plan.stages[s].*region).offset += 1; }), std::string(name) + ", offset"));
    }
  // Those whose last byte nobody need touch end where the next one begins.
  for (auto region : {&stage::constants, &stage::gradient_buffers})
    CHECK(after([&](auto& plan) { (plan.stages[1].*region).size += 1; }).size() == 1);
}

TEST_CASE("an arena that is a byte too large is found", "[matrix][faults]") {
  auto const said = after([](auto& plan) { plan.arena_bytes[2] += 1; });
  CHECK(said.size() == 2);
  CHECK(mentions(said, "device 2, arena: planned"));
}

TEST_CASE("a link that carries another byte, or another message, is found", "[matrix][faults]") {
  struct another_byte : sound_plan {
    constexpr mpx::bytes link_bytes(std::size_t link) const {
      return {sound_plan::link_bytes(link).count + (link == 1)};
    }
  };
  auto const said = test::differences(another_byte{sound}, run());
  CHECK(said.size() == 2);
  CHECK(mentions(said, "link 1, bytes forward: planned"));
  CHECK(mentions(said, "link 1, bytes backward: planned"));
  CHECK(mentions(after([](auto& plan) { plan.links[0].streams -= 1; }), "link 0, messages forward: planned"));
}

TEST_CASE("FLOPs that are one too many are found", "[matrix][faults]") {
  CHECK(
      mentions(after([](auto& plan) { plan.stages[1].forward_flops += 1; }), "device 1, FLOPs of a forward: planned"));
  CHECK(
      mentions(after([](auto& plan) { plan.stages[1].recomputed_flops += 1; }), "device 1, FLOPs of a step: planned"));
}

TEST_CASE("a slot or an idle moment too many is found", "[matrix][faults]") {
  CHECK(mentions(after([](auto& plan) { plan.stages[0].slots += 1; }), "stage 0, microbatches in flight: planned"));
  CHECK(mentions(after([](auto& plan) { plan.actions.idle_share += 1e-9; }), "idle share"));
  CHECK(mentions(after([](auto& plan) { plan.actions.makespan += 1; }), "makespan"));
}

TEST_CASE("a list of actions without one of its sends, receives, forwards or backwards is found", "[matrix][faults]") {
  using enum mpx::action_kind;
  struct missing {
    mpx::action_kind kind;
    int stage;
    char const* said;
  };
  // Without the first send, the next microbatch arrives where the first one is waited for.
  missing const faults[]{{send_forward, 0, "receive forward 0 on stage 1 meets send forward 1 on stage 0"},
                         {send_backward, 2, "receive backward 0 on stage 1 meets send backward 1 on stage 2"},
                         {receive_forward, 2, "receive forward 1 on stage 2 meets send forward 0 on stage 1"},
                         {receive_backward, 0, "receive backward 1 on stage 0 meets send backward 0 on stage 1"},
                         {forward, 1, "out of turn: backward 0 on stage 1"},
                         {backward, 1, "never forward and back: microbatch 0 on stage 1"}};
  for (auto const& [kind, stage, said] : faults) {
    CAPTURE(said);
    auto plan = sound;
    REQUIRE(remove(plan.actions, kind, stage));
    CHECK(mentions(test::differences(plan, run()), said));
  }
}

TEST_CASE("devices that wait for each other are found", "[matrix][faults]") {
  std::vector<double> const one(3, 1.0);
  CHECK(test::simulate(sound.actions, 2, one, one).fault.empty());
  // The first device receives a gradient before it has sent anything.
  auto crossed = sound.actions;
  std::size_t const first = crossed.begin[0];
  std::size_t gradient = first;
  while (crossed.actions[gradient].kind != mpx::action_kind::receive_backward) ++gradient;
  std::swap(crossed.actions[first], crossed.actions[gradient]);
  CHECK(test::simulate(crossed, 2, one, one).fault.find("never has its turn") == 0);
}
