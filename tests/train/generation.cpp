// Tokens out of models whose answers are known because their weights are set by hand.
#include <mpx_test.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <mpx/mpx.hpp>

namespace {

using ids = std::vector<std::int32_t>;

template <std::size_t Rows, std::size_t Columns> struct matrix : std::vector<float> {
  matrix() : std::vector<float>(Rows * Columns) {}
  float& operator()(std::size_t row, std::size_t column) { return (*this)[row * Columns + column]; }
};

// Counts: the head gives token t + 1 to the vector of token t. Context 4.
using counting =
    mpx::sequential<mpx::token_embedding<10, 16, "inputs">, mpx::language_head<16, 10>, mpx::cross_entropy<10>>;
using counting_trainer =
    mpx::trainer<counting, mpx::recipe<mpx::microbatch_capacity<mpx::sequences<1>, mpx::tokens<4>>>>;

void count_up(counting_trainer& trainer, float certainty) {
  matrix<10, 16> table, head;
  for (std::size_t t = 0; t < 10; ++t) {
    table(t, t) = 1;
    head((t + 1) % 10, t) = certainty;
  }
  trainer.set_parameter("embedding.weight", table);
  trainer.set_parameter("head.weight", head);
}

// Answers with the source's one token, then ends. Channels 0 to 7 say which source token it was, 8 that the answer has
// begun.
constexpr std::int32_t begin = 0, end = 1;
using echo = mpx::sequential<
    mpx::section<"encoder", mpx::gives_as<"memory", mpx::token_embedding<8, 16, "source", mpx::axis::source>>>,
    mpx::section<"decoder", mpx::token_embedding<8, 16, "inputs">,
                 mpx::section<"echo", mpx::residual<mpx::cross_attention<16, 1>>>, mpx::language_head<16, 8>,
                 mpx::cross_entropy<8>>>;
using echo_trainer = mpx::trainer<
    echo, mpx::recipe<mpx::microbatch_capacity<mpx::sequences<4>, mpx::source_tokens<3>, mpx::target_tokens<5>>>>;

void set_echo(echo_trainer& trainer) {
  matrix<8, 16> source, inputs, head;
  matrix<16, 16> identity;
  matrix<32, 16> value;  // keys are zero: attention is the mean over the source
  for (std::size_t k = 0; k < 8; ++k) source(k, k) = 1;
  for (std::size_t k = 1; k < 8; ++k) inputs(k, 8) = 1;  // every token but `begin`
  for (std::size_t c = 0; c < 16; ++c) identity(c, c) = value(16 + c, c) = 1;
  for (std::size_t k = 1; k < 8; ++k) head(k, k) = 10;
  head(end, 8) = 100;
  head(end, 7) = -1000;  // after source token 7 the answer never ends
  trainer.set_parameter("encoder.embedding.weight", source);
  trainer.set_parameter("decoder.embedding.weight", inputs);
  trainer.set_parameter("decoder.echo.layer.query.weight", matrix<16, 16>());
  trainer.set_parameter("decoder.echo.layer.key_value.weight", value);
  trainer.set_parameter("decoder.echo.layer.out.weight", identity);
  trainer.set_parameter("decoder.head.weight", head);
}

}  // namespace

TEST_CASE("greedy takes the largest logit, and of equal ones the first", "[train][generation]") {
  CHECK(mpx::greedy(std::vector<float>{-3, 2, 1}) == 1);
  CHECK(mpx::greedy(std::vector<float>{0, 5, 5, 5}) == 1);
  CHECK(mpx::greedy(std::vector<float>{-std::numeric_limits<float>::infinity(), -1e30f}) == 1);
}

TEST_CASE("sample draws each token as often as softmax(logits / temperature) says", "[train][generation]") {
  std::vector<float> const logits{0, std::log(2.0f), std::log(5.0f), -std::numeric_limits<float>::infinity()};
  int const draws = 8000;
  std::vector<int> warm(4), cold(4);
  for (int i = 0; i < draws; ++i) {
    ++warm[static_cast<std::size_t>(mpx::sample(logits, 1.0f, 7, static_cast<std::uint32_t>(i)))];
    ++cold[static_cast<std::size_t>(mpx::sample(logits, 0.5f, 7, static_cast<std::uint32_t>(i)))];
  }
  // 1 : 2 : 5 at temperature 1, 1 : 4 : 25 at one half. Five standard deviations are at most 5 * sqrt(8000 / 4) = 224.
  CHECK(std::abs(warm[0] - draws * 1 / 8) < 224);
  CHECK(std::abs(warm[1] - draws * 2 / 8) < 224);
  CHECK(std::abs(warm[2] - draws * 5 / 8) < 224);
  CHECK(std::abs(cold[1] - draws * 4 / 30) < 224);
  CHECK(std::abs(cold[2] - draws * 25 / 30) < 224);
  CHECK(warm[3] + cold[3] == 0);
}

TEST_CASE("sample depends on seed and position alone; temperature 0 is greedy, less is refused",
          "[train][generation]") {
  std::vector<float> const logits{1, 1, 1, 1, 1, 1, 1, 1};
  ids first, again, other;
  for (std::uint32_t i = 0; i < 32; ++i) {
    first.push_back(mpx::sample(logits, 1.0f, 1, i));
    again.push_back(mpx::sample(logits, 1.0f, 1, i));
    other.push_back(mpx::sample(logits, 1.0f, 2, i));
  }
  CHECK(first == again);
  CHECK(first != other);
  CHECK(mpx::sample(std::vector<float>{0, 3, 2}, 0.0f, 1, 0) == 1);
  CHECK_THROWS_AS(mpx::sample(logits, -1.0f, 1, 0), mpx::error);
}

TEST_CASE("continue_text goes on after the prompt, also beyond the context", "[train][generation]") {
  counting_trainer trainer;
  count_up(trainer, 100);
  CHECK(mpx::continue_text(trainer, {3}, 9, 1.0f, 1) == ids{3, 4, 5, 6, 7, 8, 9, 0, 1, 2});
  CHECK(mpx::continue_text(trainer, {9, 9, 9, 9, 9, 2}, 2, 1.0f, 1) == ids{9, 9, 9, 9, 9, 2, 3, 4});
  CHECK(mpx::continue_text(trainer, {5}, 0, 1.0f, 1) == ids{5});
}

TEST_CASE("continue_text repeats itself for the same seed and differs for another", "[train][generation]") {
  counting_trainer trainer;
  count_up(trainer, 0);  // all tokens are equally likely
  auto const text = mpx::continue_text(trainer, {3}, 30, 1.0f, 1);
  CHECK(mpx::continue_text(trainer, {3}, 30, 1.0f, 1) == text);
  CHECK(mpx::continue_text(trainer, {3}, 30, 1.0f, 2) != text);
}

TEST_CASE("continue_text refuses an empty prompt and a token that the model does not know", "[train][generation]") {
  counting_trainer trainer;
  CHECK_THROWS_WITH(mpx::continue_text(trainer, {}, 1, 1.0f, 1), Catch::Contains("prompt, feed inputs"));
  CHECK_THROWS_WITH(mpx::continue_text(trainer, {2, 10}, 1, 1.0f, 1),
                    Catch::Contains("prompt, sample 0, feed inputs, position 1"));
}

TEST_CASE("decode_greedily answers each source until its end, or the most tokens", "[train][generation]") {
  echo_trainer trainer;
  set_echo(trainer);
  // Padding behind the first source's only token would change its mean; source token 1 answers with the end at once.
  mpx::batch sources{{4, {3, 0}}, {}, "sources"};
  sources.columns.push_back({"source", mpx::axis::source, false, {3, 6, 6, 5, 5, 5, 7, 7, 7, 1, 1, 4}});
  sources.columns.push_back({"source_lengths", mpx::axis::source, true, {1, 3, 3, 2}});

  auto const answers = mpx::decode_greedily(trainer, sources, begin, end, 4);
  REQUIRE(answers.size() == 4);
  CHECK(answers[0] == ids{3});
  CHECK(answers[1] == ids{5});
  CHECK(answers[2] == ids{7, 7, 7, 7});
  CHECK(answers[3].empty());
  CHECK(mpx::decode_greedily(trainer, sources, begin, end, 0) == std::vector<ids>(4));
}
