#include <mpx_test.hpp>

#include <limits>
#include <set>
#include <string>
#include <vector>

#include <mpx/io/numbers_to_words.hpp>

#include "scratch_file.hpp"

using mpx::axis;
using mpx::numbers_to_words;
using mpx_test::refusal;

TEST_CASE("numbers_to_words spells a number digit by digit", "[io][numbers_to_words]") {
  CHECK(numbers_to_words::pair(123) == mpx::text_pair{"123", "one two three"});
  CHECK(numbers_to_words::pair(0) == mpx::text_pair{"0", "zero"});
  CHECK(numbers_to_words::pair(70) == mpx::text_pair{"70", "seven zero"});
}

TEST_CASE("numbers_to_words has 11 source and 13 target ids", "[io][numbers_to_words]") {
  CHECK(numbers_to_words::source_tokens().size() == 11);
  CHECK(numbers_to_words::source_tokens().encode("09") == std::vector<std::int32_t>{1, 10});
  CHECK(numbers_to_words::target_tokens().size() == 13);
  CHECK(numbers_to_words::target_tokens().encode("zero nine") == std::vector<std::int32_t>{3, 12});
}

TEST_CASE("numbers_to_words holds a tenth of the numbers out of training", "[io][numbers_to_words]") {
  auto const training = numbers_to_words{}.training();
  auto const held_out = numbers_to_words{}.held_out();
  CHECK(training.size() == 900);
  CHECK(held_out.size() == 100);
  std::set<std::string> all;
  for (auto const& pair : training) all.insert(pair.source);
  for (auto const& pair : held_out) all.insert(pair.source);
  CHECK(all.size() == 1000);
  CHECK(numbers_to_words{}.held_out() == held_out);
  CHECK(numbers_to_words{.seed = 2}.held_out() != held_out);
  CHECK(numbers_to_words{.held_out_share = 0.0f}.training().size() == 1000);
}

TEST_CASE("numbers_to_words trains on every digit at every position, however much is held out",
          "[io][numbers_to_words]") {
  for (float share : {0.1f, 0.5f, 0.95f}) {
    INFO("share " << share);
    std::set<std::string> seen;  // length, position, digit
    for (auto const& pair : numbers_to_words{.held_out_share = share}.training())
      for (std::size_t i = 0; i < pair.source.size(); ++i)
        seen.insert(std::to_string(pair.source.size()) + std::to_string(i) + pair.source[i]);
    CHECK(seen.size() == 10 + (9 + 10) + (9 + 10 + 10));  // no leading zero but 0 itself
  }
  CHECK(numbers_to_words{.held_out_share = 0.95f}.training().size() < 100);
}

TEST_CASE("numbers_to_words gives batches of its training numbers", "[io][numbers_to_words]") {
  int sequences = 0, batches = 0;
  for (auto const& batch : numbers_to_words{}.batches(32)) {
    CHECK(batch.origin == "numbers_to_words");
    CHECK(batch.size.tokens_on(axis::source) <= 3);
    CHECK(batch.size.tokens_on(axis::target) <= 4);
    for (auto id : batch.find("source")->values) CHECK((id >= 0 && id < 11));
    for (auto id : batch.find("targets")->values) CHECK((id == -1 || (id >= 2 && id < 13)));
    sequences += batch.size.sequences;
    ++batches;
  }
  CHECK(sequences == 900);
  CHECK(batches == 29);
  CHECK(numbers_to_words{}.held_out_set().size() == 100);
  CHECK(numbers_to_words{}.batches(32)[0].find("source")->values !=
        numbers_to_words{}.batches(32, 1, 1)[0].find("source")->values);
}

TEST_CASE("numbers_to_words refuses empty batches, and shares that are none", "[io][numbers_to_words]") {
  CHECK(refusal<mpx::error>([] { (void)numbers_to_words{}.batches(0); }) ==
        "empty batch (numbers_to_words): expected 1 sequence or more in a batch, got 0");
  for (float share : {-0.5f, 1.0f, std::numeric_limits<float>::quiet_NaN()})
    CHECK_THAT(refusal<mpx::error>([&] { (void)numbers_to_words{.held_out_share = share}.training(); }),
               Catch::Matchers::StartsWith("bad share of held-out numbers"));
  CHECK_THAT(refusal<mpx::error>([] { (void)numbers_to_words{.held_out_share = 0.0f}.held_out_set(); }),
             Catch::Matchers::StartsWith("no pairs (numbers_to_words)"));
}
