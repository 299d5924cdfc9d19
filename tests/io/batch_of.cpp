// Mirrors include/mpx/io/batch_of.hpp: which data set suits which model.
#include <mpx/io/batch_of.hpp>

#include <mpx/io/numbers_to_words.hpp>
#include <mpx/io/text.hpp>
#include <mpx/model/llama.hpp>

#include <models.hpp>
#include <mpx_test.hpp>

namespace {

using mpx::axis;
using mpx::feed;
using mpx::message;

/// A data set with these feeds.
template <class... Feeds>
struct with {
  using offers = message<Feeds...>;
};
using inputs = feed<"inputs", axis::target>;
using targets = feed<"targets", axis::target, 0, false, true>;
using lengths = feed<"target_lengths", axis::target, 0, true>;

template <class Source>
constexpr bool suits_gpt2 = mpx::reads_from<test::small_gpt2, Source>;
template <class Source>
constexpr std::string_view missing = mpx::detail::missing_feed<test::small_gpt2, typename Source::offers, true>::text();

}  // namespace

static_assert(mpx::reads_from<test::small_seq2seq, mpx::pair_dataset>);
static_assert(mpx::reads_from<test::small_seq2seq, mpx::numbers_to_words>);
static_assert(!mpx::reads_from<test::small_seq2seq, mpx::text_dataset>);
static_assert(suits_gpt2<mpx::text_dataset> && suits_gpt2<mpx::pair_dataset>);  // of pairs it reads the target side

static_assert(suits_gpt2<with<targets, lengths, inputs>> &&
              suits_gpt2<with<inputs, targets, lengths, feed<"weight", axis::target>>>);
static_assert(missing<with<targets, lengths>> == "inputs");
static_assert(missing<with<inputs, targets>> == "target_lengths");
static_assert(missing<with<feed<"inputs", axis::source>, targets, lengths>> == "inputs");  // another axis
static_assert(missing<with<feed<"inputs", axis::target, 0, true>, targets, lengths>> ==
              "inputs");  // one for a sequence
static_assert(missing<with<feed<"inputs", axis::target, 0, false, true>, targets, lengths>> ==
              "inputs");                                                          // with padding
static_assert(suits_gpt2<with<inputs, feed<"targets", axis::target>, lengths>>);  // without padding, where some may be

// Where nothing is learned, targets may be left out, and nothing else.
static_assert(mpx::detail::missing_feed<test::small_gpt2, message<inputs, lengths>, false>::text().empty());
static_assert(mpx::detail::missing_feed<test::small_gpt2, message<inputs, targets>, false>::text() == "target_lengths");

TEST_CASE("a batch_of has the columns that its type offers, in that order", "[io][batch_of]") {
  using offers = message<feed<"ids", axis::source>, feed<"lengths", axis::target, 0, true>>;
  mpx::batch_of<offers> const made{{2, {3, 4}}, {{{1, 2, 3, 4, 5, 6}, {4, 1}}}, "here"};
  CHECK(made.size.sequences == 2);
  CHECK(made.origin == "here");
  REQUIRE(made.columns.size() == 2);
  CHECK(made.columns[0].label == "ids");
  CHECK(made.columns[0].on == axis::source);
  CHECK_FALSE(made.columns[0].per_sequence);
  CHECK(made.columns[0].values == std::vector<std::int32_t>{1, 2, 3, 4, 5, 6});
  CHECK(made.columns[1].label == "lengths");
  CHECK(made.columns[1].on == axis::target);
  CHECK(made.columns[1].per_sequence);
  CHECK(made.columns[1].values == std::vector<std::int32_t>{4, 1});
}
