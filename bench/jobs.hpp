/// @file
/// The jobs that mpx and its peers are timed on: what is trained, on batches of which size, by which recipe.
#pragma once

#include <mpx/mpx.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace bench {

/// Random ids below `vocabulary`: as many source tokens as target tokens, all of them counted.
inline mpx::batch random_batch(int sequences, int source_tokens, int target_tokens, int vocabulary, std::uint32_t seed) {
  mpx::batch made{{sequences, {source_tokens, target_tokens}}, {}, "random"};
  std::uint32_t state = seed * 2654435761u + 1;
  auto const ids = [&](int tokens) {
    std::vector<std::int32_t> out(static_cast<std::size_t>(sequences * tokens));
    for (auto& id : out) {
      state = state * 1664525u + 1013904223u;
      id = static_cast<std::int32_t>((state >> 8) % static_cast<std::uint32_t>(vocabulary));
    }
    return out;
  };
  auto const all = [&](int tokens) { return std::vector<std::int32_t>(static_cast<std::size_t>(sequences), tokens); };
  if (source_tokens > 0) {
    made.columns.push_back({"source", mpx::axis::source, false, ids(source_tokens)});
    made.columns.push_back({"source_lengths", mpx::axis::source, true, all(source_tokens)});
  }
  made.columns.push_back({"inputs", mpx::axis::target, false, ids(target_tokens)});
  made.columns.push_back({"targets", mpx::axis::target, false, ids(target_tokens)});
  made.columns.push_back({"target_lengths", mpx::axis::target, true, all(target_tokens)});
  return made;
}

/// Of a placement: those of a mesh, or one.
template <class Placement>
constexpr int data_ranks() {
  if constexpr (requires { Placement::mesh_data; }) return Placement::mesh_data;
  else return 1;
}

/// The tutorial's encoder-decoder, at its sizes. Its numbers are short: 8 tokens each way.
struct tutorial {
  static constexpr char const* name = "tutorial_job";
  static constexpr int sequences = 32, tokens = 8, vocabulary = 13;
  static constexpr float dropout = 0.1f;
  using model = mpx::seq2seq<mpx::source_vocabulary<vocabulary>, mpx::target_vocabulary<vocabulary>, mpx::width<128>,
                             mpx::heads<4>, mpx::feed_forward<2048>, mpx::encoder_layers<2>, mpx::decoder_layers<2>,
                             mpx::context<16>, mpx::post_norm>;
  template <class Placement, class Precision, int Microbatches>
  using recipe = mpx::recipe<Placement, mpx::one_f_one_b<mpx::microbatches<Microbatches>>, Precision, mpx::adam,
                             mpx::clip_by_global_norm, mpx::noam, mpx::shard_optimizer,
                             mpx::microbatch_capacity<mpx::sequences<sequences / (Microbatches * data_ranks<Placement>())>,
                                                      mpx::source_tokens<tokens>, mpx::target_tokens<tokens>>>;
  static mpx::batch batch() { return random_batch(sequences, tokens, tokens, vocabulary, 1); }
};

/// A GPT-2 without dropout under AdamW, as language models are trained.
template <int Vocabulary, int Width, int Heads, int Layers, int Sequences, int Tokens>
struct language_model {
  static constexpr int sequences = Sequences, tokens = Tokens, vocabulary = Vocabulary;
  static constexpr float dropout = 0.0f;
  using model = mpx::gpt2<mpx::vocabulary<Vocabulary>, mpx::width<Width>, mpx::heads<Heads>, mpx::layers<Layers>,
                          mpx::context<Tokens>>;
  template <class Placement, class Precision, int Microbatches>
  using recipe = mpx::recipe<Placement, mpx::one_f_one_b<mpx::microbatches<Microbatches>>, Precision, mpx::adamw,
                             mpx::clip_by_global_norm, mpx::constant_rate, mpx::shard_optimizer,
                             mpx::microbatch_capacity<mpx::sequences<Sequences / (Microbatches * data_ranks<Placement>())>,
                                                      mpx::tokens<Tokens>>>;
  static mpx::batch batch() { return random_batch(Sequences, 0, Tokens, Vocabulary, 1); }
};
struct gpt_small : language_model<256, 384, 6, 6, 8, 256> {
  static constexpr char const* name = "gpt_small_step";
};
struct gpt2_short : language_model<50257, 768, 12, 12, 4, 256> {
  static constexpr char const* name = "gpt2_step_4x256";
};
/// The jobs of a GPU. GPT-2's 50,257 tokens are padded to 50,304, as published figures of GPUs have it: rows of logits that are
/// not a multiple of 16 bytes keep products from the GPU's fastest loads.
struct gpt2_large_batch : language_model<50304, 768, 12, 12, 16, 1024> {
  static constexpr char const* name = "gpt2_step_16x1024";
};
/// 1.56 billion parameters.
struct gpt2_xl : language_model<50304, 1600, 25, 48, 4, 1024> {
  static constexpr char const* name = "gpt2_xl_step_4x1024";
};
struct gpt2_long : language_model<50257, 768, 12, 12, 1, 1024> {
  static constexpr char const* name = "gpt2_step_1x1024";
};

}  // namespace bench
