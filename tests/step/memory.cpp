// The plan's bytes are the run's bytes: painted arenas show what a step of full microbatches touches.
#include <cstring>

#include <mpx/mpx.hpp>

#include <mpx_test.hpp>

#include "support/models.hpp"

namespace {

template <class Model, class Precision, class Placement, class Schedule, class Recompute>
void touches_what_is_planned() {
  using recipe = mpx::recipe<Placement, Schedule, Precision, mpx::adam, Recompute,
                             mpx::microbatch_capacity<mpx::sequences<3>, mpx::source_tokens<6>, mpx::target_tokens<5>>>;
  mpx::trainer<Model, recipe> trainer{{.dropout = 0.1f}};
  constexpr auto& plan = mpx::plan_v<Model, recipe>;
  constexpr auto paint = std::byte{0xa5};
  auto const batch = test::make_batch(3 * static_cast<int>(plan.microbatches), 6, 5);

  for (std::size_t d = 0; d < plan.device_count; ++d) CHECK(trainer.devices().arena(d).size() == plan.arena_bytes[d]);
  for (auto const& s : plan.stages)
    for (auto const& r : {s.saved, s.working, s.gradient_buffers, s.held_gradients, s.outgoing, s.scratch, s.incoming_forward, s.incoming_backward})
      std::memset(trainer.devices().arena(s.device_index).data() + r.offset, static_cast<int>(paint), r.size);
  trainer.step(batch);

  // The highest byte that changed lies in the region's last cache line.
  auto const touched = [&](mpx::stage_info const& s, mpx::region const& r) {
    auto const bytes = trainer.devices().arena(s.device_index).subspan(r.offset, r.size);
    std::size_t high = r.size;
    while (high > 0 && bytes[high - 1] == paint) --high;
    return mpx::aligned(high);
  };
  for (auto const& s : plan.stages) {
    CAPTURE(s.first, s.end);
    CHECK(touched(s, s.saved) == s.saved.size);
    CHECK(touched(s, s.working) == s.working.size);
    CHECK(touched(s, s.held_gradients) == s.held_gradients.size);
    CHECK(touched(s, s.outgoing) == s.outgoing.size);
    CHECK(touched(s, s.scratch) == s.scratch.size);
    CHECK(touched(s, s.incoming_forward) == s.incoming_forward.size);
    CHECK(touched(s, s.incoming_backward) == s.incoming_backward.size);
  }
  trainer.devices().each_stage([&](auto& stage) { CHECK(stage.scratch().high_water() == stage.info().scratch.size); });

  // Bytes over each link, forward and back.
  for (std::size_t link = 0; link + 1 < plan.stage_count; ++link) {
    std::size_t forward = 0, backward = 0, messages = 0;
    for (std::size_t k = 0; k < plan.links[link].streams; ++k) {
      forward += trainer.devices().channels().forward(link, k).bytes_sent();
      backward += trainer.devices().channels().backward(link, k).bytes_sent();
      messages += trainer.devices().channels().forward(link, k).messages();
    }
    CHECK(forward == plan.link_bytes(link).count);
    CHECK(backward == plan.link_bytes(link).count);
    CHECK(messages == plan.links[link].streams * plan.microbatches);
  }
}

using gpipe_3 = mpx::gpipe<mpx::microbatches<3>>;
using one_f_one_b_3 = mpx::one_f_one_b<mpx::microbatches<3>>;

}  // namespace

TEST_CASE("seq2seq touches exactly the memory that its plan gives it", "[step][memory]") {
  touches_what_is_planned<test::small_seq2seq, mpx::bf16_mixed, mpx::place_evenly<3>, one_f_one_b_3, mpx::keep_activations>();
  touches_what_is_planned<test::small_seq2seq, mpx::f32_only, mpx::place_all<>, gpipe_3, mpx::recompute_block>();
}

TEST_CASE("t5 touches exactly the memory that its plan gives it", "[step][memory]") {
  using two = mpx::place_evenly<2>;
  touches_what_is_planned<test::small_t5, mpx::bf16_mixed, two, one_f_one_b_3, mpx::keep_activations>();
  touches_what_is_planned<test::small_t5, mpx::f32_only, mpx::place_evenly<3>, gpipe_3, mpx::recompute_block>();
}

TEST_CASE("gpt2 touches exactly the memory that its plan gives it", "[step][memory]") {
  touches_what_is_planned<test::small_gpt2, mpx::bf16_mixed, mpx::place_evenly<2>, gpipe_3, mpx::keep_activations>();
  touches_what_is_planned<test::small_gpt2, mpx::f32_only, mpx::place_evenly<3>, one_f_one_b_3, mpx::recompute_block>();
}
