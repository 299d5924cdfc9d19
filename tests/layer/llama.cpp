// Layers without biases, gated mlp, rotary positions, and the model that is made of them.
#include <mpx_test.hpp>

#include <algorithm>
#include <cmath>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "laws/layer.hpp"

namespace {

template <bool Causal>
using turning = mpx::self_attention<8, 2, Causal, mpx::axis::target, mpx::init::xavier_uniform,
                                    mpx::init::xavier_uniform, mpx::unbiased, mpx::rotary<>>;
using plain = mpx::linear<8, 8, mpx::axis::target, mpx::init::xavier_uniform, mpx::unbiased>;
using grouped = mpx::llama<mpx::vocabulary<13>, mpx::width<8>, mpx::heads<4>, mpx::key_value_heads<2>, mpx::feed_forward<12>,
                           mpx::layers<1>, mpx::context<8>, mpx::rotary<500'000>>;
using small = mpx::llama<mpx::vocabulary<13>, mpx::width<8>, mpx::heads<2>, mpx::feed_forward<12>, mpx::layers<2>,
                         mpx::context<8>>;

}  // namespace

TEST_CASE("the gradients of layers without biases are the central differences", "[layer][linear]") {
  test::gradients_match<test::tiny<plain, mpx::layer_norm<8>, plain>>(test::tiny_batch());
  test::f32_follows_f64<test::tiny<plain, mpx::layer_norm<8>, plain>>(test::tiny_batch());
}

TEST_CASE("the gradients of attention with rotary positions are the central differences", "[layer][attention]") {
  test::gradients_match<test::tiny<turning<true>>>(test::tiny_batch());
  test::gradients_match<test::tiny<turning<false>>>(test::tiny_batch());
  test::f32_follows_f64<test::tiny<turning<true>>>(test::tiny_batch());
}

TEST_CASE("the gradients of a gated mlp are the central differences", "[layer][activation]") {
  using model = test::tiny<mpx::residual<mpx::rms_norm<8>, mpx::gated_mlp<8, 12>>,
                           mpx::residual<mpx::layer_norm<8>, mpx::gated_mlp<8, 5, mpx::gelu>>>;
  test::gradients_match<model>(test::tiny_batch());
  test::f32_follows_f64<model>(test::tiny_batch());
}

TEST_CASE("the gradients of llama are the central differences, on one device and on three", "[layer][llama]") {
  test::gradients_match<small>(test::tiny_batch());
  test::gradients_match<small, mpx::place_evenly<3>, 2>(test::tiny_batch());
  test::gradients_match<grouped>(test::tiny_batch());
  test::f32_follows_f64<test::tiny<mpx::llama_block<8, 2, 12>>>(test::tiny_batch());
}

TEST_CASE("rotary positions tell the order of tokens, attention without them does not", "[layer][attention]") {
  using unturned = mpx::self_attention<8, 2, false>;
  auto const logits = []<class Model>(std::type_identity<Model>, bool swapped) {
    mpx::trainer<Model, test::still_recipe<test::f64_only>> trainer{{.lr = {.peak = 0}, .dropout = 0}};
    test::spread_parameters(trainer);
    auto batch = test::make_batch(1, 5, 5);
    for (auto& column : batch.columns) {
      if (column.label == "inputs") column.values = {1, 2, 3, 4, 5};
      if (column.label == "inputs" && swapped) std::swap(column.values[0], column.values[1]);
    }
    return trainer.next_token_logits(batch);  // behind the last token
  };
  auto const largest_change = [&](auto model) {
    auto const before = logits(model, false), after = logits(model, true);
    double most = 0;
    for (std::size_t i = 0; i < before.size(); ++i)
      most = std::max(most, std::abs(static_cast<double>(before[i] - after[i])));
    return most;
  };
  CHECK(largest_change(std::type_identity<test::tiny<unturned>>{}) < 1e-6);
  CHECK(largest_change(std::type_identity<test::tiny<turning<false>>>{}) > 1e-3);
}

TEST_CASE("placement changes no bit of llama's gradients", "[layer][llama]") {
  auto const gradients = []<class Placement>(std::type_identity<Placement>) {
    mpx::trainer<small, test::still_recipe<mpx::f32_only, Placement>> trainer{{.lr = {.peak = 0}}};
    test::spread_parameters(trainer);
    trainer.step(test::tiny_batch());
    std::vector<float> all;
    trainer.each_parameter([&](std::string const& name, auto const&) {
      auto const g = trainer.gradient(name);
      all.insert(all.end(), g.begin(), g.end());
    });
    return all;
  };
  CHECK(gradients(std::type_identity<mpx::place_all<>>{}) == gradients(std::type_identity<mpx::place_evenly<3>>{}));
}
