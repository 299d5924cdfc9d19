/// @file
/// A text file as batches for a decoder-only model, one byte a token.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <mpx/core/error.hpp>
#include <mpx/core/fixed_string.hpp>
#include <mpx/core/random.hpp>
#include <mpx/io/batch_of.hpp>

namespace mpx {

/// Training reads the first nine tenths of a text, validation the rest.
enum class text_part : unsigned char { training, validation };

/// Bytes as token ids 0 to 255, in windows of `context` tokens; each token's target is the byte after it.
/// Shapes  inputs, targets: [B, context]; target_lengths: [B]
class text_dataset {
 public:
  static constexpr std::size_t vocabulary_size = 256;
  using offers = message<feed<"inputs", axis::target, vocabulary_size>,
                         feed<"targets", axis::target, vocabulary_size, false, true>,
                         feed<"target_lengths", axis::target, 0, true>>;
  using batch_type = batch_of<offers>;

  /// Errors  throws mpx::error when the file cannot be read, is empty, or is shorter than context + 1 bytes
  [[nodiscard]] static text_dataset read(std::string const& path, std::size_t context) {
    std::ifstream file(path, std::ios::binary);
    std::string text;
    std::vector<char> block(1 << 16);
    bool const opened = file.is_open();
    while (file.read(block.data(), static_cast<std::streamsize>(block.size())) || file.gcount() > 0)
      text.append(block.data(), static_cast<std::size_t>(file.gcount()));
    if (!opened || file.bad())
      throw error{{.what = "cannot read file", .where = path, .expected = "a readable text file", .got = "none"}};
    return {std::move(text), context, path};
  }

  /// Errors  throws mpx::error when `context` is 0, or the text is shorter than context + 1 bytes
  text_dataset(std::string text, std::size_t context, std::string origin)
      : text_(std::move(text)), context_(context), origin_(std::move(origin)) {
    if (context_ == 0) refuse("bad context", "1 token or more", "0");
    if (text_.empty()) refuse("file is empty", at_least(context_ + 1), "0");
    if (text_.size() < context_ + 1) refuse("file is too short", at_least(context_ + 1), std::to_string(text_.size()));
  }

  [[nodiscard]] std::size_t context() const { return context_; }
  [[nodiscard]] std::string const& origin() const { return origin_; }

  [[nodiscard]] std::string_view bytes(text_part part) const {
    std::size_t const kept = text_.size() - text_.size() / 10;
    std::string_view const all = text_;
    return part == text_part::training ? all.substr(0, kept) : all.substr(kept);
  }

  /// Windows that begin anywhere, chosen by (seed, step, sequence) alone.
  /// Errors  throws mpx::error when `sequences` is 0, or the part is shorter than context + 1 bytes
  [[nodiscard]] batch_type random_windows(text_part part, std::size_t sequences, std::uint64_t seed,
                                          std::uint64_t step) const {
    require_sequences(sequences);
    auto const from = bytes(part);
    if (from.size() < context_ + 1)
      refuse(part == text_part::training ? "training part is too short" : "validation part is too short",
             at_least(context_ + 1), std::to_string(from.size()));
    std::uint64_t const key = mixed_key(mixed_key(seed, step), name_hash("text windows"));
    std::vector<std::size_t> begins(sequences);
    for (std::size_t row = 0; row < sequences; ++row) {
      auto const words = philox({static_cast<std::uint32_t>(row), static_cast<std::uint32_t>(part), 0, 0}, key);
      std::uint64_t const word = (std::uint64_t{words[0]} << 32) | words[1];
      begins[row] = static_cast<std::size_t>(word % (from.size() - context_));
    }
    return windows(from, begins);
  }

  /// Windows one after the other: each byte but the part's first is a target once. The last window may be shorter
  /// than the context; its rest is padding (input 0, target -1). The last batch has what is left.
  /// Errors  throws mpx::error when `sequences` is 0, or the part is shorter than 2 bytes
  [[nodiscard]] std::vector<batch_type> sequential_windows(text_part part, std::size_t sequences) const {
    auto const from = bytes(part);
    if (from.size() < 2)
      refuse(part == text_part::training ? "training part is too short" : "validation part is too short", at_least(2),
             std::to_string(from.size()));
    require_sequences(sequences);
    std::vector<batch_type> made;
    std::vector<std::size_t> begins;
    for (std::size_t at = 0; at + 1 < from.size(); at += context_) {
      begins.push_back(at);
      if (begins.size() < sequences && at + context_ + 1 < from.size()) continue;
      made.push_back(windows(from, begins));
      begins.clear();
    }
    return made;
  }

 private:
  [[noreturn]] void refuse(char const* what, std::string expected, std::string got) const {
    throw error{{.what = what, .where = origin_, .expected = std::move(expected), .got = std::move(got)}};
  }

  void require_sequences(std::size_t sequences) const {
    if (sequences == 0) refuse("empty batch", "1 sequence or more in a batch", "0");
  }

  [[nodiscard]] static std::string at_least(std::size_t count) { return std::to_string(count) + " bytes or more"; }

  [[nodiscard]] batch_type windows(std::string_view from, std::vector<std::size_t> const& begins) const {
    std::vector<std::int32_t> inputs(begins.size() * context_, 0), targets(begins.size() * context_, -1), lengths;
    for (std::size_t row = 0; row < begins.size(); ++row) {
      std::size_t const tokens = std::min(context_, from.size() - 1 - begins[row]);
      for (std::size_t t = 0; t < tokens; ++t) {
        inputs[row * context_ + t] = static_cast<unsigned char>(from[begins[row] + t]);
        targets[row * context_ + t] = static_cast<unsigned char>(from[begins[row] + t + 1]);
      }
      lengths.push_back(static_cast<std::int32_t>(tokens));
    }
    return {{static_cast<int>(begins.size()), {0, static_cast<int>(context_)}},
            {std::move(inputs), std::move(targets), std::move(lengths)},
            origin_};
  }

  std::string text_;
  std::size_t context_;
  std::string origin_;
};

}  // namespace mpx
