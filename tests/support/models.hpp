// Small models and batches that several tests use.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <mpx/model/gpt2.hpp>
#include <mpx/model/seq2seq.hpp>
#include <mpx/model/t5.hpp>
#include <mpx/tensor/batch.hpp>

namespace test {

using small_seq2seq = mpx::seq2seq<mpx::source_vocabulary<11>, mpx::target_vocabulary<13>, mpx::width<32>, mpx::heads<4>,
                                   mpx::feed_forward<64>, mpx::encoder_layers<2>, mpx::decoder_layers<2>, mpx::context<16>>;
using small_gpt2 = mpx::gpt2<mpx::vocabulary<61>, mpx::width<32>, mpx::heads<4>, mpx::layers<2>, mpx::context<16>>;
// Heads of 12 columns: wider together than the model.
using small_t5 = mpx::t5<mpx::vocabulary<13>, mpx::width<16>, mpx::heads<2>, mpx::head_width<12>, mpx::feed_forward<24>,
                         mpx::encoder_layers<3>, mpx::decoder_layers<2>>;

/// Ids that differ from place to place, with lengths from 1 to the batch's tokens.
inline std::vector<std::int32_t> ids(std::size_t count, std::int32_t below, std::uint32_t seed) {
  std::vector<std::int32_t> out(count);
  for (auto& one : out) one = static_cast<std::int32_t>((seed = seed * 1664525u + 1013904223u) >> 8) % below;
  return out;
}

inline std::vector<std::int32_t> lengths(int sequences, int tokens) {
  std::vector<std::int32_t> out;
  for (int s = 0; s < sequences; ++s) out.push_back(tokens - s % tokens);
  return out;
}

inline std::vector<std::int32_t> padded_targets(int sequences, int tokens, std::int32_t below, std::uint32_t seed) {
  auto out = ids(static_cast<std::size_t>(sequences * tokens), below, seed);
  auto const valid = lengths(sequences, tokens);
  for (int s = 0; s < sequences; ++s)
    for (int t = valid[static_cast<std::size_t>(s)]; t < tokens; ++t) out[static_cast<std::size_t>(s * tokens + t)] = -1;
  return out;
}

/// A batch with every column that seq2seq, t5 and gpt2 read.
inline mpx::batch make_batch(int sequences, int source_tokens, int target_tokens, std::int32_t source_below = 11,
                             std::int32_t target_below = 13, std::uint32_t seed = 1) {
  auto const b = static_cast<std::size_t>(sequences);
  mpx::batch out{{sequences, {source_tokens, target_tokens}}, {}, "test"};
  out.columns.push_back({"source", mpx::axis::source, false, ids(b * static_cast<std::size_t>(source_tokens), source_below, seed)});
  out.columns.push_back({"source_lengths", mpx::axis::source, true, lengths(sequences, source_tokens)});
  out.columns.push_back({"inputs", mpx::axis::target, false, ids(b * static_cast<std::size_t>(target_tokens), target_below, seed + 7)});
  out.columns.push_back({"targets", mpx::axis::target, false, padded_targets(sequences, target_tokens, target_below, seed + 9)});
  out.columns.push_back({"target_lengths", mpx::axis::target, true, lengths(sequences, target_tokens)});
  return out;
}

}  // namespace test
