/// @file
/// Tokens and their ids.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <mpx/core/error.hpp>
#include <mpx/io/utf8.hpp>

namespace mpx {

/// What one token of a text is.
enum class token_unit : unsigned char { character, word };

/// Which ids are kept for mpx: `<pad>` alone (an encoder's input), or `<pad>`, `<sos>` and `<eos>` (a decoder's).
enum class reserved_tokens : unsigned char { padding, sequence };

/// The words of `text`, which spaces separate.
[[nodiscard]] inline std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> found;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t const end = std::min(text.find(' ', at), text.size());
    if (end > at) found.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return found;
}

/// Token to id and back. Ids count from 0, the reserved tokens first, then the others in byte order.
class tokenizer {
 public:
  static constexpr std::int32_t pad = 0;
  static constexpr std::int32_t sos = 1;
  static constexpr std::int32_t eos = 2;

  /// All tokens that occur in `texts`, whatever the order of the texts.
  [[nodiscard]] static tokenizer of_texts(std::span<std::string const> texts, token_unit unit,
                                           reserved_tokens reserved) {
    std::vector<std::string> tokens;
    for (auto const& text : texts)
      for (auto token : split(text, unit)) tokens.emplace_back(token);
    std::sort(tokens.begin(), tokens.end());
    tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
    return {std::move(tokens), unit, reserved};
  }

  /// These tokens, without the reserved ones, in this order.
  /// Errors  throws mpx::error when a token is empty, stands twice or has a reserved name
  tokenizer(std::vector<std::string> tokens, token_unit unit, reserved_tokens reserved)
      : unit_(unit), reserved_(reserved), tokens_{"<pad>"} {
    if (reserved == reserved_tokens::sequence) tokens_.insert(tokens_.end(), {"<sos>", "<eos>"});
    for (auto& token : tokens) tokens_.push_back(std::move(token));
    by_text_.resize(tokens_.size());
    for (std::size_t id = 0; id < tokens_.size(); ++id) by_text_[id] = static_cast<std::int32_t>(id);
    std::sort(by_text_.begin(), by_text_.end(), [this](auto a, auto b) { return text(a) < text(b); });
    for (std::size_t i = 0; i < by_text_.size(); ++i)
      if (text(by_text_[i]).empty() || (i > 0 && text(by_text_[i]) == text(by_text_[i - 1])))
        throw error{{.what = "bad list of tokens",
                     .where = "token " + std::to_string(by_text_[i]),
                     .expected = "tokens that differ from each other and are not empty",
                     .got = "\"" + text(by_text_[i]) + "\""}};
  }

  /// Number of ids: what mpx::vocabulary<V>, mpx::source_vocabulary<V> or mpx::target_vocabulary<V> must say.
  [[nodiscard]] std::size_t size() const { return tokens_.size(); }
  [[nodiscard]] token_unit unit() const { return unit_; }

  /// Errors  throws mpx::error when the token is not known
  [[nodiscard]] std::int32_t id(std::string_view token) const {
    auto const found =
        std::lower_bound(by_text_.begin(), by_text_.end(), token, [this](auto i, auto t) { return text(i) < t; });
    if (found == by_text_.end() || text(*found) != token)
      throw error{{.what = "unknown token",
                   .where = "tokenizer of " + std::to_string(size()) + " tokens",
                   .expected = "one of " + known(),
                   .got = "\"" + std::string(token) + "\""}};
    return *found;
  }

  /// Errors  throws mpx::error when the id is not in 0 to size() - 1
  [[nodiscard]] std::string const& token(std::int32_t id) const {
    if (id < 0 || static_cast<std::size_t>(id) >= size())
      throw error{{.what = "token id out of range",
                   .where = "tokenizer",
                   .expected = "0 to " + std::to_string(size() - 1),
                   .got = std::to_string(id)}};
    return text(id);
  }

  /// Ids of a text's tokens; nothing is put before or after them.
  /// Errors  throws mpx::error when a token is not known
  [[nodiscard]] std::vector<std::int32_t> encode(std::string_view text) const {
    std::vector<std::int32_t> ids;
    for (auto one : split(text, unit_)) ids.push_back(id(one));
    return ids;
  }

  /// The text of these ids up to `<eos>`; padding and `<sos>` leave no trace.
  /// Errors  throws mpx::error when an id is not in 0 to size() - 1
  [[nodiscard]] std::string decode(std::span<std::int32_t const> ids) const {
    std::string joined;
    for (auto one : ids) {
      if (one == eos && reserved_ == reserved_tokens::sequence) break;
      if (one == pad || (one == sos && reserved_ == reserved_tokens::sequence)) continue;
      if (unit_ == token_unit::word && !joined.empty()) joined += ' ';
      joined += token(one);
    }
    return joined;
  }

 private:
  [[nodiscard]] static std::vector<std::string_view> split(std::string_view text, token_unit unit) {
    return unit == token_unit::character ? utf8_characters(text) : words_of(text);
  }

  [[nodiscard]] std::string const& text(std::int32_t id) const { return tokens_[static_cast<std::size_t>(id)]; }

  [[nodiscard]] std::string known() const {
    constexpr std::size_t shown = 24;
    std::string list;
    for (std::size_t id = 0; id < std::min(size(), shown); ++id) list += (id ? ", " : "") + tokens_[id];
    return size() > shown ? list + ", ... (" + std::to_string(size()) + " in all)" : list;
  }

  token_unit unit_;
  reserved_tokens reserved_;
  std::vector<std::string> tokens_;
  std::vector<std::int32_t> by_text_;  // ids in the order of their texts, for binary search
};

}  // namespace mpx
