// Batches that cannot be trained on: one error each, which says where, and nothing has changed.
#include <mpx_test.hpp>

#include <stdexcept>
#include <string>

#include <mpx/mpx.hpp>

#include "support/models.hpp"
#include "support/parameters.hpp"

namespace {

// At most 2 microbatches of 2 sequences, with 8 tokens on either side.
using recipe = mpx::recipe<mpx::place_evenly<2>, mpx::one_f_one_b<mpx::microbatches<2>>,
                           mpx::microbatch_capacity<mpx::sequences<2>, mpx::source_tokens<8>, mpx::target_tokens<8>>>;
using trainer_type = mpx::trainer<test::small_seq2seq, recipe>;

mpx::batch good() {
  auto batch = test::make_batch(3, 5, 7);
  batch.origin = "pairs.tsv";
  return batch;
}

mpx::batch::column& column(mpx::batch& batch, std::string const& label) {
  for (auto& one : batch.columns)
    if (one.label == label) return one;
  throw std::logic_error("no column " + label);
}

template <class F> mpx::error::report refusal(F&& f) {
  try {
    f();
  } catch (mpx::error const& e) {
    CHECK(std::string(e.what()).find(e.details.where) != std::string::npos);
    return e.details;
  }
  FAIL("nothing was thrown");
  return {};
}

/// The error of a batch that `spoil` has changed; the same whether it is trained on or evaluated.
template <class F> mpx::error::report refusal_of(trainer_type& trainer, F&& spoil) {
  auto batch = good();
  spoil(batch);
  auto const before = test::all_bytes(trainer);
  auto const in_step = refusal([&] { trainer.step(batch); });
  auto const in_evaluation = refusal([&] { static_cast<void>(trainer.evaluate(batch)); });
  CHECK(test::all_bytes(trainer) == before);
  CHECK(trainer.steps() == 1);
  CHECK(trainer.skipped_steps() == 0);
  CHECK(in_step.what == in_evaluation.what);
  CHECK(in_step.where == in_evaluation.where);
  return in_step;
}

void check(mpx::error::report const& said, char const* what, char const* where, char const* expected, char const* got) {
  CHECK(said.what == what);
  CHECK(said.where == where);
  CHECK(said.expected == expected);
  CHECK(said.got == got);
}

}  // namespace

TEST_CASE("a bad batch is refused with its sample, feed and position, and training goes on as if it had not been",
          "[train][bad_input]") {
  trainer_type trainer{{.seed = 3}}, untroubled{{.seed = 3}};
  trainer.step(good());
  untroubled.step(good());

  // columns
  check(refusal_of(trainer, [](auto& b) { column(b, "source").label = "sources"; }), "feed is missing",
        "pairs.tsv, feed source", "a column of this name", "none");
  check(refusal_of(trainer, [](auto& b) { column(b, "targets").label.clear(); }), "feed is missing",
        "pairs.tsv, feed targets", "a column of this name", "none");
  check(refusal_of(trainer, [](auto& b) { column(b, "inputs").values.pop_back(); }), "feed has another size",
        "pairs.tsv, feed inputs", "21 values", "20");
  check(refusal_of(trainer, [](auto& b) { column(b, "source_lengths").values.push_back(1); }), "feed has another size",
        "pairs.tsv, feed source_lengths", "3 values", "4");

  // ids
  check(refusal_of(trainer, [](auto& b) { column(b, "source").values[2 * 5 + 1] = 11; }), "token id out of range",
        "pairs.tsv, sample 2, feed source, position 1", "0 to 10", "11");
  check(refusal_of(trainer, [](auto& b) { column(b, "inputs").values[6] = -1; }), "token id out of range",
        "pairs.tsv, sample 0, feed inputs, position 6", "0 to 12", "-1");
  check(refusal_of(trainer, [](auto& b) { column(b, "targets").values[7 + 3] = 13; }), "token id out of range",
        "pairs.tsv, sample 1, feed targets, position 3", "0 to 12, or less for padding", "13");

  // lengths
  check(refusal_of(trainer, [](auto& b) { column(b, "source_lengths").values[1] = 0; }), "length out of range",
        "pairs.tsv, sample 1, feed source_lengths", "1 to 5", "0");
  check(refusal_of(trainer, [](auto& b) { column(b, "target_lengths").values[2] = 8; }), "length out of range",
        "pairs.tsv, sample 2, feed target_lengths", "1 to 7", "8");

  // sizes
  check(refusal_of(trainer, [](auto& b) { b.size.sequences = 0; }), "empty batch", "pairs.tsv", "at least 1 sequence",
        "0");
  check(refusal_of(trainer, [](auto& b) { b.size.sequences = -3; }), "empty batch", "pairs.tsv", "at least 1 sequence",
        "-3");
  check(refusal_of(trainer, [](auto& b) { b = test::make_batch(5, 5, 7), b.origin = "big.tsv"; }),
        "batch is larger than the capacity", "big.tsv", "at most 4 sequences (2 microbatches of 2)", "5");
  check(refusal_of(trainer, [](auto& b) { b = test::make_batch(3, 9, 7), b.origin = "long.tsv"; }),
        "sequence does not fit the capacity", "long.tsv, feed source", "1 to 8 tokens", "9");
  check(refusal_of(trainer, [](auto& b) { b.size.tokens[1] = 0, b.origin.clear(); }),
        "sequence does not fit the capacity", "batch, feed inputs", "1 to 8 tokens", "0");

  // targets
  check(refusal_of(trainer, [](auto& b) { column(b, "targets").values.assign(21, -1); }), "no target tokens",
        "pairs.tsv", "at least one target that is not padding", "none");

  for (int s = 0; s < 2; ++s) {
    auto const after = trainer.step(good()), expected = untroubled.step(good());
    CHECK(after.loss == expected.loss);
    CHECK(after.step == expected.step);
  }
  CHECK(test::all_bytes(trainer) == test::all_bytes(untroubled));
}

TEST_CASE("logits may be asked for without targets, but not of bad ids", "[train][bad_input]") {
  trainer_type trainer;
  auto batch = good();
  batch.columns.erase(batch.columns.begin() + 3);  // "targets"
  CHECK(trainer.next_token_logits(batch).size() == 3 * 13);
  column(batch, "source").values[4] = 11;
  check(refusal([&] { static_cast<void>(trainer.next_token_logits(batch)); }), "token id out of range",
        "pairs.tsv, sample 0, feed source, position 4", "0 to 10", "11");
}
