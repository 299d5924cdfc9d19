#include <mpx_test.hpp>

#include <string>
#include <vector>

#include <mpx/io/tokenizer.hpp>

#include "scratch_file.hpp"

using mpx::reserved_tokens;
using mpx::token_unit;
using mpx::tokenizer;
using mpx_test::refusal;
using ids = std::vector<std::int32_t>;

static_assert(tokenizer::pad == 0 && tokenizer::sos == 1 && tokenizer::eos == 2);

TEST_CASE("tokenizer of words counts from the reserved tokens on, in byte order", "[io][tokenizer]") {
  std::vector<std::string> const texts{"two one", "one three"};
  auto const words = tokenizer::of_texts(texts, token_unit::word, reserved_tokens::sequence);

  CHECK(words.size() == 6);
  CHECK(words.token(0) == "<pad>");
  CHECK(words.token(1) == "<sos>");
  CHECK(words.token(2) == "<eos>");
  CHECK(words.id("one") == 3);
  CHECK(words.id("three") == 4);
  CHECK(words.id("two") == 5);
  CHECK(words.encode("two  one ") == ids{5, 3});
  CHECK(words.encode("").empty());
}

TEST_CASE("tokenizer of characters reserves padding alone and counts characters, not bytes", "[io][tokenizer]") {
  std::vector<std::string> const texts{"b\xc3\xa9", "a"};
  auto const letters = tokenizer::of_texts(texts, token_unit::character, reserved_tokens::padding);

  CHECK(letters.size() == 4);
  CHECK(letters.encode("\xc3\xa9" "ab") == ids{3, 1, 2});
  CHECK(letters.decode(ids{3, 1, 2, 0}) == "\xc3\xa9" "ab");
}

TEST_CASE("tokenizer decodes up to <eos> and leaves padding and <sos> out", "[io][tokenizer]") {
  tokenizer const words{{"x", "y"}, token_unit::word, reserved_tokens::sequence};
  CHECK(words.decode(ids{1, 4, 3, 2, 3, 0}) == "y x");
  CHECK(words.decode(ids{}) == "");
}

TEST_CASE("tokenizer names an unknown token and what it knows", "[io][tokenizer]") {
  tokenizer const words{{"x", "y"}, token_unit::word, reserved_tokens::padding};
  auto const text = refusal<mpx::error>([&] { (void)words.encode("x z"); });
  CHECK(text == "unknown token (tokenizer of 3 tokens): expected one of <pad>, x, y, got \"z\"");
}

TEST_CASE("tokenizer cuts a long list of known tokens", "[io][tokenizer]") {
  std::vector<std::string> many;
  for (int i = 100; i < 200; ++i) many.push_back(std::to_string(i));
  tokenizer const words{many, token_unit::word, reserved_tokens::padding};
  auto const text = refusal<mpx::error>([&] { (void)words.id("7"); });
  CHECK_THAT(text, Catch::Matchers::EndsWith(", 122, ... (101 in all), got \"7\""));
}

TEST_CASE("tokenizer refuses ids out of range", "[io][tokenizer]") {
  tokenizer const words{{"x"}, token_unit::word, reserved_tokens::padding};
  CHECK(refusal<mpx::error>([&] { (void)words.token(2); }) ==
        "token id out of range (tokenizer): expected 0 to 1, got 2");
  CHECK(refusal<mpx::error>([&] { (void)words.decode(ids{-1}); }) ==
        "token id out of range (tokenizer): expected 0 to 1, got -1");
}

TEST_CASE("tokenizer refuses tokens that stand twice, are empty or reserved", "[io][tokenizer]") {
  auto const made = [](std::vector<std::string> tokens) {
    return refusal<mpx::error>([&] { tokenizer(tokens, token_unit::word, reserved_tokens::sequence); });
  };
  CHECK_THAT(made({"a", "b", "a"}), Catch::Matchers::EndsWith("got \"a\""));
  CHECK_THAT(made({"a", ""}), Catch::Matchers::EndsWith("got \"\""));
  CHECK_THAT(made({"<eos>"}), Catch::Matchers::EndsWith("got \"<eos>\""));
  CHECK(made({"a", "b"}).empty());
}
