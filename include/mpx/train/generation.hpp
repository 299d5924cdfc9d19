/// @file
/// Tokens out of a trained model, one after the other.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <mpx/core/error.hpp>
#include <mpx/core/random.hpp>
#include <mpx/tensor/batch.hpp>

namespace mpx {

/// The id with the largest logit; the smallest id where several are equal.
[[nodiscard]] inline std::int32_t greedy(std::span<float const> logits) {
  return static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

/// An id drawn from softmax(logits / temperature), by the word that (seed, position) gives; temperature 0 is greedy.
/// Errors  throws mpx::error when the temperature is negative or no number
[[nodiscard]] inline std::int32_t sample(std::span<float const> logits, float temperature, std::uint64_t seed, std::uint32_t position) {
  if (!(temperature >= 0)) throw error({"bad temperature", "mpx::sample", "0 or more", std::to_string(temperature)});
  if (temperature == 0) return greedy(logits);
  float const most = *std::max_element(logits.begin(), logits.end());
  std::vector<double> weight(logits.size());
  double sum = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) sum += weight[i] = std::exp((logits[i] - most) / static_cast<double>(temperature));
  double left = sum * uniform(philox({position, 0, 0, 0}, seed)[0]);
  for (std::size_t i = 0; i < weight.size(); ++i)
    if ((left -= weight[i]) <= 0) return static_cast<std::int32_t>(i);
  return static_cast<std::int32_t>(weight.size() - 1);
}

/// Answers of an encoder-decoder model to the sources of a batch, each token the likeliest one among the first
/// `known_tokens` ids (a model may have room for more than its tokenizer knows; 0: all of them).
/// Shapes  one vector of ids for each sequence, without the begin and end tokens
template <class Trainer>
[[nodiscard]] std::vector<std::vector<std::int32_t>> decode_greedily(Trainer& trainer, batch const& sources, std::int32_t begin,
                                                                     std::int32_t end, int most_tokens,
                                                                     std::size_t known_tokens = 0) {
  if (most_tokens > Trainer::plan.capacity.tokens_on(axis::target))
    throw error({"answers may be longer than the capacity", "decode_greedily",
                 "at most " + std::to_string(Trainer::plan.capacity.tokens_on(axis::target)) + " tokens", std::to_string(most_tokens)});
  known_tokens = known_tokens > 0 ? std::min(known_tokens, trainer.vocabulary()) : trainer.vocabulary();
  auto const n = static_cast<std::size_t>(sources.size.sequences);
  std::vector<std::vector<std::int32_t>> answers(n);
  std::vector<bool> ended(n);
  for (int length = 1; length <= most_tokens; ++length) {
    batch asked{{sources.size.sequences, {sources.size.tokens[0], length}}, {}, sources.origin};
    for (char const* label : {"source", "source_lengths"})
      if (auto const* column = sources.find(label)) asked.columns.push_back(*column);
    batch::column inputs{"inputs", axis::target, false, {}}, lengths{"target_lengths", axis::target, true, {}};
    for (std::size_t s = 0; s < n; ++s) {
      for (int t = 0; t < length; ++t)
        inputs.values.push_back(t == 0 ? begin : t <= static_cast<int>(answers[s].size()) ? answers[s][static_cast<std::size_t>(t - 1)] : end);
      lengths.values.push_back(length);
    }
    asked.columns.push_back(std::move(inputs));
    asked.columns.push_back(std::move(lengths));
    auto const logits = trainer.next_token_logits(asked);
    bool all_ended = true;
    for (std::size_t s = 0; s < n; ++s) {
      if (ended[s]) continue;
      std::int32_t const id = greedy({logits.data() + s * trainer.vocabulary(), known_tokens});
      if (id == end) ended[s] = true;
      else answers[s].push_back(id);
      all_ended = all_ended && ended[s];
    }
    if (all_ended) break;
  }
  return answers;
}

/// Continues a prompt with a decoder-only model; once the context is full, its oldest tokens are forgotten.
template <class Trainer>
[[nodiscard]] std::vector<std::int32_t> continue_text(Trainer& trainer, std::vector<std::int32_t> text, std::size_t tokens,
                                                      float temperature, std::uint64_t seed) {
  auto const context = static_cast<std::size_t>(Trainer::plan.capacity.tokens_on(axis::target));
  for (std::size_t made = 0; made < tokens; ++made) {
    std::size_t const length = std::min(context, text.size());
    batch asked{{1, {0, static_cast<int>(length)}}, {}, "prompt"};
    asked.columns.push_back({"inputs", axis::target, false, {text.end() - static_cast<std::ptrdiff_t>(length), text.end()}});
    asked.columns.push_back({"target_lengths", axis::target, true, {static_cast<std::int32_t>(length)}});
    text.push_back(sample(trainer.next_token_logits(asked), temperature, seed, static_cast<std::uint32_t>(made)));
  }
  return text;
}

}  // namespace mpx
