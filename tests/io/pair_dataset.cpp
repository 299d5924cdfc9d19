#include <mpx_test.hpp>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <mpx/io/pair_dataset.hpp>

#include "scratch_file.hpp"

using mpx::axis;
using mpx::text_pair;
using mpx_test::refusal;
using ids = std::vector<std::int32_t>;

namespace {

std::vector<text_pair> const three{{"ab", "x y"}, {"b", "z"}, {"cab", "y y x"}};

ids const& column(mpx::batch const& batch, char const* label) {
  REQUIRE(batch.find(label) != nullptr);
  return batch.find(label)->values;
}

}  // namespace

TEST_CASE("pair_dataset makes columns padded to the batch's own longest", "[io][pair_dataset]") {
  // a 1, b 2, c 3; x 3, y 4, z 5
  mpx::pair_dataset const data(three, "three.tsv");
  auto const batches = data.batches_in_order(2);
  REQUIRE(batches.size() == 2);

  auto const& first = batches[0];
  CHECK(first.origin == "three.tsv");
  CHECK(first.size.sequences == 2);
  CHECK(first.size.tokens_on(axis::source) == 2);
  CHECK(first.size.tokens_on(axis::target) == 3);
  CHECK(column(first, "source") == ids{1, 2, 2, 0});
  CHECK(column(first, "source_lengths") == ids{2, 1});
  CHECK(column(first, "inputs") == ids{1, 3, 4, 1, 5, 0});
  CHECK(column(first, "targets") == ids{3, 4, 2, 5, 2, -1});
  CHECK(column(first, "target_lengths") == ids{3, 2});

  auto const& last = batches[1];
  CHECK(last.size.sequences == 1);
  CHECK(column(last, "source") == ids{3, 1, 2});
  CHECK(column(last, "inputs") == ids{1, 4, 4, 3});
  CHECK(column(last, "targets") == ids{4, 4, 3, 2});
}

TEST_CASE("pair_dataset columns say their axis and whether they count sequences", "[io][pair_dataset]") {
  auto const batch = mpx::pair_dataset(three, "three.tsv").batches_in_order(3).at(0);
  CHECK(batch.columns.size() == 5);
  for (auto const* label : {"source", "source_lengths"}) CHECK(batch.find(label)->on == axis::source);
  for (auto const* label : {"inputs", "targets", "target_lengths"}) CHECK(batch.find(label)->on == axis::target);
  for (auto const& one : batch.columns) {
    INFO(one.label);
    CHECK(one.per_sequence == (one.label.find("lengths") != std::string::npos));
    CHECK(one.values.size() == static_cast<std::size_t>(one.per_sequence ? 3 : batch.size.rows(one.on)));
  }
}

TEST_CASE("pair_dataset shows every pair once an epoch, in an order of seed and epoch", "[io][pair_dataset]") {
  std::vector<text_pair> pairs;
  for (int i = 0; i < 10; ++i) pairs.push_back({std::to_string(i), "w" + std::to_string(i)});
  mpx::pair_dataset const data(pairs, "ten");
  auto const sources = [&data](std::uint64_t seed, std::uint64_t epoch) {
    ids seen;
    for (auto const& batch : data.batches(4, seed, epoch)) {
      auto const& source = column(batch, "source");
      seen.insert(seen.end(), source.begin(), source.end());
      // Digit i is id i + 1, word i is id i + 3: pairs stay together.
      for (std::size_t row = 0; row < source.size(); ++row) CHECK(column(batch, "targets")[2 * row] == source[row] + 2);
    }
    return seen;
  };
  CHECK(data.batches(4, 1, 0).size() == 3);
  CHECK(data.batches(4, 1, 0).back().size.sequences == 2);
  CHECK(sources(1, 0) == sources(1, 0));
  CHECK(sources(1, 0) != sources(1, 1));
  CHECK(sources(1, 0) != sources(2, 0));
  auto const seen = sources(1, 5);
  CHECK(seen.size() == 10);
  CHECK(std::set<std::int32_t>(seen.begin(), seen.end()).size() == 10);
}

TEST_CASE("pair_dataset knows the tokens of its longest batch", "[io][pair_dataset]") {
  auto const longest = mpx::pair_dataset(three, "three.tsv").longest();
  CHECK(longest.tokens_on(axis::source) == 3);
  CHECK(longest.tokens_on(axis::target) == 4);  // three words and <sos>
}

TEST_CASE("pair_dataset refuses no pairs, empty batches and unknown tokens", "[io][pair_dataset]") {
  mpx::pair_dataset const data(three, "three.tsv");
  CHECK(refusal<mpx::error>([] { mpx::pair_dataset(std::vector<text_pair>{}, "none.tsv"); }) ==
        "no pairs (none.tsv): expected at least one pair, got none");
  CHECK(refusal<mpx::error>([&] { (void)data.batches(0, 1, 0); }) ==
        "empty batch (three.tsv): expected 1 sequence or more in a batch, got 0");
  CHECK(refusal<mpx::error>([&] { (void)data.batches_in_order(0); }) ==
        "empty batch (three.tsv): expected 1 sequence or more in a batch, got 0");
  std::vector<text_pair> const other{{"a", "x"}, {"d", "x"}};
  CHECK(refusal<mpx::error>([&] { mpx::pair_dataset(other, data.source(), data.target(), "other.tsv"); }) ==
        "unknown token (other.tsv, pair 2, tokenizer of 4 tokens): expected one of <pad>, a, b, c, got \"d\"");
}
