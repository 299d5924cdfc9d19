// Attention, causal, bidirectional and across.
#include <mpx_test.hpp>

#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <vector>

#include "laws/layer.hpp"

namespace {

using causal = test::tiny<mpx::self_attention<8, 2, true>>;
using bidirectional = test::tiny<mpx::self_attention<8, 2, false>>;
using across = mpx::sequential<
    mpx::section<"encoder", mpx::token_embedding<11, 8, "source", mpx::axis::source>,
                 mpx::self_attention<8, 4, false, mpx::axis::source>,
                 mpx::gives_as<"memory", mpx::layer_norm<8, mpx::axis::source>>>,
    mpx::section<"decoder", mpx::token_embedding<13, 8, "inputs">, mpx::cross_attention<8, 2>,
                 mpx::residual<mpx::cross_attention<8, 1>>, mpx::language_head<8, 13>, mpx::cross_entropy<13>>>;

// Heads whose columns do not add up to the width: 2 of 3, 3 of 5 and 3 of 4 columns beside a width of 8.
using xavier = mpx::init::xavier_uniform;
using narrow = test::tiny<mpx::self_attention<8, 2, true, mpx::axis::target, xavier, xavier, mpx::head_width<3>>>;
using wide = mpx::sequential<
    mpx::section<"encoder", mpx::token_embedding<11, 8, "source", mpx::axis::source>,
                 mpx::gives_as<"memory", mpx::self_attention<8, 3, false, mpx::axis::source, xavier, xavier,
                                                             mpx::head_width<5>, mpx::unbiased>>>,
    mpx::section<"decoder", mpx::token_embedding<13, 8, "inputs">,
                 mpx::cross_attention<8, 3, xavier, mpx::unbiased, mpx::head_width<4>>, mpx::language_head<8, 13>,
                 mpx::cross_entropy<13>>>;

// Scores with a bias by distance, divided by sqrt(D) or not.
template <bool Causal, class... Options>
using by_distance = mpx::self_attention<8, 2, Causal, mpx::axis::target, xavier, xavier, Options...>;
using shared = mpx::sequential<
    mpx::token_embedding<13, 8, "inputs">,
    mpx::section<"first", by_distance<true, mpx::unbiased, mpx::unscaled, mpx::relative_bias<4, 3>>>,
    by_distance<true, mpx::shared_relative_bias<"first.attention.relative.weight", 4, 3>>, mpx::language_head<8, 13>,
    mpx::cross_entropy<13>>;

// Heads that share keys and values: 4 of 2 columns over 2, and 6 of 4 over 1 with a bias by distance.
template <bool Causal, class... Options>
using four_heads = mpx::self_attention<8, 4, Causal, mpx::axis::target, xavier, xavier, Options...>;
using grouped_by_distance = mpx::self_attention<8, 6, false, mpx::axis::target, xavier, xavier, mpx::head_width<4>,
                                                mpx::key_value_heads<1>, mpx::relative_bias<8, 5>, mpx::unscaled>;
using ungrouped = four_heads<true, mpx::key_value_heads<4>>;
static_assert(std::is_same_v<ungrouped::parameters, four_heads<true>::parameters> && !ungrouped::grouped);
// Wq of 8 x 8, Wkv of 2 * 2 * 2 x 8, Wout of 8 x 8; their biases.
using two_of_four = four_heads<true, mpx::key_value_heads<2>>;
static_assert(two_of_four::grouped && two_of_four::key_value_inner == 4);
static_assert(mpx::footprint<four_heads<true, mpx::key_value_heads<2>, mpx::unbiased>>::parameters_on(1) == 3 * 8 * 8);

// Said or divided, it is the same layer.
using divided = mpx::self_attention<12, 3, true>;
using said = mpx::self_attention<12, 3, true, mpx::axis::target, xavier, xavier, mpx::head_width<4>>;
static_assert(std::is_same_v<divided::parameters, said::parameters> && said::inner == 12);
static_assert(mpx::footprint<mpx::self_attention<8, 3, true, mpx::axis::target, xavier, xavier, mpx::unbiased,
                                                 mpx::head_width<128>>>::parameters_on(1) == 4 * 8 * 3 * 128);

/// Replaces every id of a column behind its sequence's length.
void change_padding(mpx::batch& batch, char const* ids, char const* lengths) {
  auto const& valid = batch.find(lengths)->values;
  for (auto& column : batch.columns)
    if (column.label == ids) {
      std::size_t const tokens = column.values.size() / valid.size();
      for (std::size_t s = 0; s < valid.size(); ++s)
        for (std::size_t t = static_cast<std::size_t>(valid[s]); t < tokens; ++t) {
          auto& id = column.values[s * tokens + t];
          id = (id + 1) % 11;
        }
    }
}

/// Replaces every id from position `first` on.
void change_future(mpx::batch& batch, char const* ids, std::size_t tokens, std::size_t first) {
  for (auto& column : batch.columns)
    if (column.label == ids)
      for (std::size_t i = 0; i < column.values.size(); ++i)
        if (i % tokens >= first) column.values[i] = (column.values[i] + 1) % 11;
}

}  // namespace

TEST_CASE("the gradients of causal self-attention are the central differences", "[layer][attention]") {
  test::gradients_match<causal>(test::tiny_batch());
}

TEST_CASE("the gradients of bidirectional self-attention are the central differences", "[layer][attention]") {
  test::gradients_match<bidirectional>(test::tiny_batch());
}

TEST_CASE("the gradients of an encoder and of cross-attention to it are the central differences",
          "[layer][attention]") {
  test::gradients_match<across>(test::tiny_batch());
  test::f32_follows_f64<across>(test::tiny_batch());
}

TEST_CASE("the gradients of heads apart from the width are the central differences, with biases and without",
          "[layer][attention]") {
  test::gradients_match<narrow>(test::tiny_batch());
  test::gradients_match<wide>(test::tiny_batch());
  test::f32_follows_f64<wide>(test::tiny_batch());
}

TEST_CASE("the gradients of attention with a bias by distance are the central differences", "[layer][attention]") {
  test::gradients_match<test::tiny<by_distance<true, mpx::relative_bias<>>>>(test::tiny_batch());
  test::gradients_match<test::tiny<by_distance<false, mpx::relative_bias<8, 5>, mpx::unscaled>>>(test::tiny_batch());
  test::f32_follows_f64<test::tiny<by_distance<false, mpx::relative_bias<8, 5>, mpx::unscaled>>>(test::tiny_batch());
}

TEST_CASE("the gradients of heads that share keys and values are the central differences", "[layer][attention]") {
  test::gradients_match<test::tiny<two_of_four>>(test::tiny_batch());
  test::gradients_match<test::tiny<four_heads<false, mpx::key_value_heads<1>, mpx::unbiased, mpx::rotary<>>>>(
      test::tiny_batch());
  test::gradients_match<test::tiny<grouped_by_distance>>(test::tiny_batch());
  test::f32_follows_f64<test::tiny<two_of_four>>(test::tiny_batch());
}

TEST_CASE("heads that share keys and values answer as heads with copies of them", "[layer][attention]") {
  using copied = test::tiny<four_heads<true, mpx::rotary<>>>;
  using shared = test::tiny<four_heads<true, mpx::rotary<>, mpx::key_value_heads<2>>>;
  mpx::trainer<shared, test::still_recipe<test::f64_only>> few{{.lr = {.peak = 0}, .dropout = 0}};
  mpx::trainer<copied, test::still_recipe<test::f64_only>> many{{.lr = {.peak = 0}, .dropout = 0}};
  auto const names = test::spread_parameters(few);
  test::spread_parameters(many);
  for (auto const* kind : {"weight", "bias"}) {
    std::string const end = kind;
    std::size_t const row = end == "weight" ? 8 : 1;  // elements of an output
    auto const q = few.parameter("attention.query." + end), kv = few.parameter("attention.key_value." + end);
    auto all = std::vector<double>(q.begin(), q.end());
    for (std::size_t part = 0; part < 2; ++part)        // k, v
      for (std::size_t head = 0; head < 4; ++head)      // two to each of two
        for (std::size_t i = 0; i < 2 * row; ++i) all.push_back(kv[(part * 2 + head / 2) * 2 * row + i]);
    many.set_parameter("attention.qkv." + end, all);
  }
  for (auto const& name : names)
    if (name.find("query") == name.npos && name.find("key_value") == name.npos) {
      auto const same = few.parameter(name);
      many.set_parameter(name, std::vector<double>(same.begin(), same.end()));
    }
  CHECK(few.evaluate(test::tiny_batch()) == Approx(many.evaluate(test::tiny_batch())).epsilon(1e-13));
}

TEST_CASE("a bias by distance that two layers share has the gradient of both", "[layer][attention]") {
  test::gradients_match<shared>(test::tiny_batch());
  test::gradients_match<shared, mpx::place_evenly<2>, 2>(test::tiny_batch());
}

TEST_CASE("queries of unscaled attention begin smaller by sqrt(D), keys and values as ever", "[layer][attention]") {
  mpx::trainer<test::tiny<by_distance<true>>, test::still_recipe<test::f64_only>> scaled;
  mpx::trainer<test::tiny<by_distance<true, mpx::unscaled>>, test::still_recipe<test::f64_only>> unscaled;
  auto const before = scaled.parameter("attention.qkv.weight"), after = unscaled.parameter("attention.qkv.weight");
  for (std::size_t i = 0; i < before.size(); ++i)
    CHECK(after[i] == Approx(i < 8 * 8 ? before[i] / 2 : before[i]));  // heads of 4 columns
}

TEST_CASE("a causal model's logits do not see later tokens", "[layer][attention]") {
  mpx::trainer<causal, test::still_recipe<test::f64_only>> trainer{{.lr = {.peak = 0}, .dropout = 0}};
  test::spread_parameters(trainer);
  auto batch = test::tiny_batch();
  for (auto& column : batch.columns)
    if (column.label == "target_lengths") column.values = {3, 3, 3};  // logits behind the third token
  auto const before = trainer.next_token_logits(batch);
  auto later = batch, earlier = batch;
  change_future(later, "inputs", 7, 3);
  change_future(earlier, "inputs", 7, 2);
  CHECK(trainer.next_token_logits(later) == before);
  CHECK(trainer.next_token_logits(earlier) != before);
}

TEST_CASE("padded source tokens change neither the loss nor a gradient, not by a bit", "[layer][attention]") {
  mpx::trainer<across, test::still_recipe<test::f64_only>> trainer{{.lr = {.peak = 0}, .dropout = 0}};
  auto const names = test::spread_parameters(trainer);
  auto const batch = test::tiny_batch();
  auto padded = batch, seen = batch;
  change_padding(padded, "source", "source_lengths");
  change_future(seen, "source", 5, 0);

  double const loss = trainer.step(batch).loss;
  auto const table = trainer.gradient("encoder.embedding.weight"),
             query = trainer.gradient("decoder.cross_attention.query.weight");
  std::vector<double> const table_before(table.begin(), table.end()), query_before(query.begin(), query.end());
  CHECK(trainer.step(padded).loss == loss);
  CHECK(std::equal(table.begin(), table.end(), table_before.begin()));
  CHECK(std::equal(query.begin(), query.end(), query_before.begin()));
  CHECK(trainer.step(seen).loss != loss);
}
