/// @file
/// Pairs of texts as batches for an encoder-decoder model.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <mpx/core/error.hpp>
#include <mpx/io/batch_of.hpp>
#include <mpx/io/pairs.hpp>
#include <mpx/io/shuffle.hpp>
#include <mpx/io/tokenizer.hpp>

namespace mpx {

/// Pairs as token ids: characters on the source side, words on the target side.
class pair_dataset {
 public:
  using offers =
      message<feed<"source", axis::source>, feed<"source_lengths", axis::source, 0, true>, feed<"inputs", axis::target>,
              feed<"targets", axis::target, 0, false, true>, feed<"target_lengths", axis::target, 0, true>>;
  using batch_type = batch_of<offers>;

  /// The tokens are those of the pairs themselves.
  /// Errors  throws mpx::error when there is no pair
  pair_dataset(std::span<text_pair const> pairs, std::string origin)
      : pair_dataset(pairs,
                     tokenizer::of_texts(side(pairs, &text_pair::source), token_unit::character,
                                          reserved_tokens::padding),
                     tokenizer::of_texts(side(pairs, &text_pair::target), token_unit::word,
                                          reserved_tokens::sequence),
                     std::move(origin)) {}

  /// Errors  throws mpx::error when there is no pair, or one with a token that its tokenizer does not know
  pair_dataset(std::span<text_pair const> pairs, tokenizer source, tokenizer target, std::string origin)
      : source_(std::move(source)), target_(std::move(target)), origin_(std::move(origin)) {
    if (pairs.empty())
      throw error{{.what = "no pairs", .where = origin_, .expected = "at least one pair", .got = "none"}};
    for (auto const& pair : pairs) samples_.push_back(encoded(pair, samples_.size() + 1));
  }

  [[nodiscard]] std::size_t size() const { return samples_.size(); }
  [[nodiscard]] tokenizer const& source() const { return source_; }
  [[nodiscard]] tokenizer const& target() const { return target_; }
  [[nodiscard]] std::string const& origin() const { return origin_; }

  /// Tokens of the longest batch; the target counts one more than its words, for `<sos>` or `<eos>`.
  [[nodiscard]] extents longest() const {
    extents most{1, {0, 0}};
    for (auto const& one : samples_) grow(most, one);
    return most;
  }

  /// Every pair once, shuffled. The last batch has what is left.
  /// Shapes  source: [B, Ts], inputs: [B, Tt] = `<sos>` words, targets: [B, Tt] = words `<eos>`, then -1;
  ///         source_lengths, target_lengths: [B]; Ts and Tt are the batch's own longest
  /// Errors  throws mpx::error when `sequences` is 0
  [[nodiscard]] std::vector<batch_type> batches(std::size_t sequences, std::uint64_t seed, std::uint64_t epoch) const {
    return cut(shuffled(size(), seed, epoch), sequences);
  }

  /// Every pair once, in the order of the file.
  /// Errors  throws mpx::error when `sequences` is 0
  [[nodiscard]] std::vector<batch_type> batches_in_order(std::size_t sequences) const {
    std::vector<std::size_t> order(size());
    for (std::size_t i = 0; i < size(); ++i) order[i] = i;
    return cut(order, sequences);
  }

 private:
  using ids = std::vector<std::int32_t>;
  struct sample {
    ids source;
    ids target;  // words only
  };

  [[nodiscard]] static std::vector<std::string> side(std::span<text_pair const> pairs, std::string text_pair::*which) {
    std::vector<std::string> texts;
    for (auto const& pair : pairs) texts.push_back(pair.*which);
    return texts;
  }

  [[nodiscard]] sample encoded(text_pair const& pair, std::size_t number) const {
    try {
      return {source_.encode(pair.source), target_.encode(pair.target)};
    } catch (error const& fault) {
      auto said = fault.details;
      said.where = origin_ + ", pair " + std::to_string(number) + ", " + said.where;
      throw error{std::move(said)};
    }
  }

  static void grow(extents& most, sample const& one) {
    most.tokens[0] = std::max(most.tokens[0], static_cast<int>(one.source.size()));
    most.tokens[1] = std::max(most.tokens[1], static_cast<int>(one.target.size() + 1));
  }

  [[nodiscard]] std::vector<batch_type> cut(std::vector<std::size_t> const& order, std::size_t sequences) const {
    if (sequences == 0)
      throw error{{.what = "empty batch", .where = origin_, .expected = "1 sequence or more in a batch", .got = "0"}};
    std::vector<batch_type> made;
    for (std::size_t first = 0; first < order.size(); first += sequences)
      made.push_back(padded(std::span(order).subspan(first, std::min(sequences, order.size() - first))));
    return made;
  }

  [[nodiscard]] batch_type padded(std::span<std::size_t const> order) const {
    extents size{static_cast<int>(order.size()), {0, 0}};
    for (auto i : order) grow(size, samples_[i]);
    ids source(static_cast<std::size_t>(size.rows(axis::source)), tokenizer::pad);
    ids inputs(static_cast<std::size_t>(size.rows(axis::target)), tokenizer::pad);
    ids targets(inputs.size(), -1);
    ids source_lengths, target_lengths;
    for (std::size_t row = 0; row < order.size(); ++row) {
      auto const& one = samples_[order[row]];
      auto const tokens = static_cast<std::ptrdiff_t>(one.target.size());
      auto const at = static_cast<std::ptrdiff_t>(row) * size.tokens_on(axis::target);
      std::copy(one.source.begin(), one.source.end(),
                source.begin() + static_cast<std::ptrdiff_t>(row) * size.tokens_on(axis::source));
      inputs[static_cast<std::size_t>(at)] = tokenizer::sos;
      std::copy(one.target.begin(), one.target.end(), inputs.begin() + at + 1);
      std::copy(one.target.begin(), one.target.end(), targets.begin() + at);
      targets[static_cast<std::size_t>(at + tokens)] = tokenizer::eos;
      source_lengths.push_back(static_cast<std::int32_t>(one.source.size()));
      target_lengths.push_back(static_cast<std::int32_t>(tokens + 1));
    }
    return {size,
            {std::move(source), std::move(source_lengths), std::move(inputs), std::move(targets),
             std::move(target_lengths)},
            origin_};
  }

  tokenizer source_;
  tokenizer target_;
  std::string origin_;
  std::vector<sample> samples_;
};

}  // namespace mpx
