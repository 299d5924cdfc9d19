#include <mpx_test.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include <mpx/mpx.hpp>

#include "support/f64.hpp"
#include "support/models.hpp"

namespace {

using model = mpx::sequential<mpx::token_embedding<13, 8, "inputs">, mpx::self_attention<8, 2, false>,
                              mpx::language_head<8, 13>, mpx::cross_entropy<13>>;
template <std::size_t Parts, class... Policies>
using in_parts =
    mpx::trainer<model, mpx::recipe<mpx::gpipe<mpx::microbatches<Parts>>, test::f64_only, mpx::sgd, Policies...,
                                    mpx::microbatch_capacity<mpx::sequences<6>, mpx::tokens<8>>>>;

}  // namespace

TEST_CASE("split covers every sequence once, in order, in parts that differ by at most one", "[runtime][microbatch]") {
  for (int sequences = 0; sequences <= 20; ++sequences)
    for (int parts = 1; parts <= 9; ++parts) {
      int next = 0, fewest = sequences, most = 0;
      for (int m = 0; m < parts; ++m) {
        auto const part = mpx::split({sequences, {3, 5}}, m, parts);
        if (part.first_sequence != next) FAIL("a gap before part " << m << " of " << parts);
        if (part.size.tokens != std::array{3, 5}) FAIL("other tokens in part " << m);
        next += part.size.sequences;
        fewest = std::min(fewest, part.size.sequences);
        most = std::max(most, part.size.sequences);
      }
      if (next != sequences || fewest < 0 || most - fewest > 1)
        FAIL(sequences << " sequences in " << parts << " parts");
    }
  CHECK(mpx::split({5, {3, 5}}, 2, 3).first_sequence == 3);
  CHECK(mpx::split({2, {3, 5}}, 0, 4).size.sequences == 0);  // more parts than sequences: some are empty
}

TEST_CASE("a batch in many parts, empty ones too, has the loss and gradients of the whole", "[runtime][microbatch]") {
  in_parts<1> whole{{.dropout = 0}};
  in_parts<5, mpx::place_evenly<2>> parts{{.dropout = 0}};
  for (int sequences : {6, 2, 1, 5}) {
    auto const batch = test::make_batch(sequences, 1, 7);
    auto const expected = whole.step(batch), is = parts.step(batch);
    CHECK(is.tokens == expected.tokens);
    CHECK(is.loss == Approx(expected.loss).epsilon(1e-13));
    CHECK(is.gradient_norm == Approx(expected.gradient_norm).epsilon(1e-6));
    for (char const* name : {"embedding.weight", "attention.qkv.weight", "head.weight"}) {
      auto const a = whole.gradient(name), b = parts.gradient(name);
      double off = 0, size = 0;
      for (std::size_t i = 0; i < a.size(); ++i)
        off = std::max(off, std::abs(a[i] - b[i])), size = std::max(size, std::abs(a[i]));
      INFO(name);
      CHECK(size > 1e-6);
      CHECK(off <= 1e-13 * size);
    }
    CHECK(parts.evaluate(batch) == Approx(whole.evaluate(batch)).epsilon(1e-12));
    auto const logits = whole.next_token_logits(batch), in_order = parts.next_token_logits(batch);
    for (std::size_t i = 0; i < logits.size(); ++i)
      if (std::abs(logits[i] - in_order[i]) > 1e-6f) FAIL("logit " << i);
  }
}
