// Numbers of a policy that are none never reach the weights.
#include <limits>
#include <vector>

#include <mpx/mpx.hpp>

#include <mpx_test.hpp>

#include "support/models.hpp"

namespace {

struct rate_that_is_no_number {
  [[nodiscard]] constexpr float rate(long) const noexcept { return std::numeric_limits<float>::quiet_NaN(); }
};
struct clip_to_nothing_known {
  [[nodiscard]] constexpr float scale(float) const noexcept { return std::numeric_limits<float>::infinity(); }
};

template <class... Policies>
using recipe = mpx::recipe<Policies..., mpx::microbatch_capacity<mpx::sequences<4>, mpx::tokens<6>>>;

template <class Trainer>
std::vector<float> weights(Trainer& trainer) {
  auto const table = trainer.parameter("embedding.token.weight");
  return {table.begin(), table.end()};
}

}  // namespace

TEST_CASE("a loss scale of 0 is refused, and a rate that is no number", "[train][bad_numbers]") {
  auto const batch = test::make_batch(4, 5, 6);
  mpx::trainer<test::small_gpt2, recipe<mpx::static_loss_scaling>> unscaled{{.loss_scaling = {.factor = 0.0f}}};
  auto const before = weights(unscaled);
  CHECK_THROWS_AS(unscaled.step(batch), mpx::error);
  CHECK(weights(unscaled) == before);

  mpx::trainer<test::small_gpt2, recipe<rate_that_is_no_number>> unrated;
  CHECK_THROWS_AS(unrated.step(batch), mpx::error);
  CHECK(weights(unrated) == before);
}

TEST_CASE("a clip factor that is no number skips the step", "[train][bad_numbers]") {
  mpx::trainer<test::small_gpt2, recipe<clip_to_nothing_known>> trainer;
  auto const before = weights(trainer);
  CHECK(trainer.step(test::make_batch(4, 5, 6)).skipped);
  CHECK(weights(trainer) == before);
}

TEST_CASE("answers longer than the capacity are refused before the first is decoded", "[train][bad_numbers]") {
  using capacity = mpx::microbatch_capacity<mpx::sequences<4>, mpx::source_tokens<6>, mpx::target_tokens<6>>;
  mpx::trainer<test::small_seq2seq, mpx::recipe<capacity>> trainer;
  auto const sources = test::make_batch(2, 4, 6);
  CHECK_THROWS_AS(mpx::decode_greedily(trainer, sources, 1, 2, 7), mpx::error);
  CHECK(mpx::decode_greedily(trainer, sources, 1, 2, 6).size() == 2);
}
