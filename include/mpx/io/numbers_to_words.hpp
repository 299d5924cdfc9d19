/// @file
/// A task that needs no data: digits to words.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <mpx/core/error.hpp>
#include <mpx/io/pair_dataset.hpp>

namespace mpx {

/// "123" becomes "one two three": the numbers 0 to 999, digit by digit. Some are held out: a model that has learned
/// the task, and not the numbers, gets those right too.
struct numbers_to_words {
  static constexpr std::size_t count = 1000;
  using offers = pair_dataset::offers;

  std::uint64_t seed = 1;         ///< decides which numbers are held out
  float held_out_share = 0.1f;    ///< of all numbers

  /// `<pad>` and ten digits: 11 ids.
  [[nodiscard]] static tokenizer source_tokens() {
    std::vector<std::string> digits;
    for (char digit = '0'; digit <= '9'; ++digit) digits.emplace_back(1, digit);
    return {std::move(digits), token_unit::character, reserved_tokens::padding};
  }

  /// `<pad>`, `<sos>`, `<eos>` and ten words: 13 ids.
  [[nodiscard]] static tokenizer target_tokens() {
    return {{words.begin(), words.end()}, token_unit::word, reserved_tokens::sequence};
  }

  [[nodiscard]] static text_pair pair(std::size_t number) {
    text_pair made{std::to_string(number), {}};
    for (char digit : made.source) {
      if (!made.target.empty()) made.target += ' ';
      made.target += words[static_cast<std::size_t>(digit - '0')];
    }
    return made;
  }

  /// The numbers to train on. Among those of one, of two and of three digits, each digit stands at each position.
  [[nodiscard]] std::vector<text_pair> training() const { return split().first; }

  /// The numbers that training never sees.
  [[nodiscard]] std::vector<text_pair> held_out() const { return split().second; }

  [[nodiscard]] pair_dataset training_set() const { return dataset(training()); }

  /// Errors  throws mpx::error when nothing is held out
  [[nodiscard]] pair_dataset held_out_set() const { return dataset(held_out()); }

  /// The training numbers, each once in an epoch.
  /// Shapes  source: [B, 1 to 3]; inputs, targets: [B, 2 to 4]
  /// Errors  throws mpx::error when `sequences` is 0
  [[nodiscard]] std::vector<pair_dataset::batch_type> batches(std::size_t sequences, std::uint64_t shuffle_seed = 1,
                                                              std::uint64_t epoch = 0) const {
    return training_set().batches(sequences, shuffle_seed, epoch);
  }

 private:
  static constexpr std::array<char const*, 10> words{"zero", "one", "two",   "three", "four",
                                                     "five", "six", "seven", "eight", "nine"};

  [[nodiscard]] static pair_dataset dataset(std::vector<text_pair> const& pairs) {
    return {pairs, source_tokens(), target_tokens(), "numbers_to_words"};
  }

  /// Numbers leave training in a shuffled order, unless one is the last with some digit at some position.
  [[nodiscard]] std::pair<std::vector<text_pair>, std::vector<text_pair>> split() const {
    if (!(held_out_share >= 0.0f && held_out_share < 1.0f))
      throw error{{.what = "bad share of held-out numbers",
                   .where = "numbers_to_words",
                   .expected = "0 or more, below 1",
                   .got = std::to_string(held_out_share)}};
    auto const cell = [](std::string const& text, std::size_t i) {
      return (text.size() * 3 + i) * 10 + static_cast<std::size_t>(text[i] - '0');
    };
    std::array<std::size_t, 4 * 3 * 10> left{};  // training numbers by length, position and digit
    for (std::size_t number = 0; number < count; ++number)
      for (std::size_t i = 0; i < std::to_string(number).size(); ++i) ++left[cell(std::to_string(number), i)];

    auto wanted = static_cast<std::size_t>(held_out_share * static_cast<float>(count) + 0.5f);
    std::array<bool, count> out{};
    for (std::size_t number : shuffled(count, seed, 0)) {
      std::string const text = std::to_string(number);
      bool needed = wanted == 0;
      for (std::size_t i = 0; i < text.size(); ++i) needed = needed || left[cell(text, i)] == 1;
      if (needed) continue;
      for (std::size_t i = 0; i < text.size(); ++i) --left[cell(text, i)];
      out[number] = true;
      --wanted;
    }
    std::pair<std::vector<text_pair>, std::vector<text_pair>> parts;
    for (std::size_t number = 0; number < count; ++number)
      (out[number] ? parts.second : parts.first).push_back(pair(number));
    return parts;
  }
};

}  // namespace mpx
