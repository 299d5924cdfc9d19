// Trains on pairs, answers the held-out ones and the user's questions. The same code for every mesh, precision and device.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <span>
#include <string>

#include <mpx/mpx.hpp>

#include "options.hpp"

// The numbers need 11 and 13 tokens; pairs of the user's own may need more. Tensor ranks share the vocabulary, so it is
// rounded up to a multiple of them.
template <std::size_t Source, std::size_t Target, std::size_t Context, std::size_t Ranks>
using words_model = mpx::with_padded_vocabulary<
    mpx::seq2seq<mpx::source_vocabulary<Source>, mpx::target_vocabulary<Target>, mpx::width<128>, mpx::heads<4>,
                 mpx::feed_forward<512>, mpx::encoder_layers<2>, mpx::decoder_layers<2>, mpx::context<Context>>,
    Ranks>;

template <std::size_t Data, std::size_t Pipeline, std::size_t Tensor>
using mesh_of = mpx::mesh<mpx::data<Data>, mpx::pipeline<Pipeline>, mpx::tensor<Tensor>>;

using one_stage = mpx::place_all<mpx::host<0>>;
using two_stages = mpx::place_at<mpx::at<"encoder", mpx::host<0>>, mpx::at<"decoder", mpx::host<1>>>;

template <class Mesh>
using stages_of = std::conditional_t<Mesh::mesh_pipeline == 1, one_stage, two_stages>;

template <class Model, class Recipe>
using on_hosts = mpx::trainer<Model, Recipe>;

template <class Mesh, class Placement, class Precision, class LossScaling, std::size_t Tokens>
using words_recipe =
    mpx::recipe<Mesh, Placement, mpx::one_f_one_b<mpx::microbatches<4>>, Precision, LossScaling, mpx::clip_by_global_norm,
                mpx::noam, mpx::adam,
                mpx::microbatch_capacity<mpx::sequences<32>, mpx::source_tokens<Tokens>, mpx::target_tokens<Tokens>>>;

/// Batches are split into four microbatches of at most 32 sequences, on several data ranks into four on each.
inline constexpr std::size_t largest_batch = 4 * 32;

template <class Trainer>
std::vector<std::string> answers(Trainer& trainer, mpx::pair_dataset const& asked, int most_words) {
  std::vector<std::string> said;
  for (auto const& batch : asked.batches_in_order(largest_batch))
    for (auto const& ids : mpx::decode_greedily(trainer, batch, mpx::tokenizer::sos, mpx::tokenizer::eos, most_words,
                                                asked.target().size()))
      said.push_back(asked.target().decode(ids));
  return said;
}

inline void require_room(char const* what, mpx::pair_dataset const& pairs, std::size_t count, std::size_t most) {
  if (count > most)
    throw mpx::error({std::string("too many ") + what, pairs.origin(), "at most " + std::to_string(most), std::to_string(count)});
}

template <template <class, class> class Trainer, class Model, class Recipe>
int train_and_ask(options const& chosen, mpx::pair_dataset const& training, std::vector<mpx::text_pair> const& held_out,
                  int most_words) {
  // Everything is looked at before anything is trained: a wrong line or question costs no time.
  constexpr auto& plan = mpx::plan_v<Model, Recipe>;
  auto const asked_of = [&](std::vector<mpx::text_pair> const& pairs, std::string const& origin) {
    return mpx::pair_dataset(pairs, training.source(), training.target(), origin);
  };
  std::vector<mpx::text_pair> questions;
  for (auto const& text : chosen.ask) questions.push_back({text, training.target().token(mpx::tokenizer::eos + 1)});
  auto const held = asked_of(held_out, training.origin());
  require_room("source tokens", training, training.source().size(), plan.stages[0].feeds[0].feed.limit);
  require_room("target tokens", training, training.target().size(), Trainer<Model, Recipe>::vocabulary());
  for (auto const& pairs : {training, held}) {
    require_room("characters in a source", pairs, pairs.longest().tokens[0], plan.capacity.tokens[0]);
    require_room("words in a target", pairs, pairs.longest().tokens[1], plan.capacity.tokens[1]);
  }
  if (!questions.empty()) {
    auto const asked = asked_of(questions, "--ask");
    require_room("characters in a question", asked, asked.longest().tokens[0], plan.capacity.tokens[0]);
  }

  std::cout << plan << '\n';
  Trainer<Model, Recipe> trainer{{.lr = {.factor = 0.5f, .warmup = 400}, .seed = chosen.seed}};
  auto const begin = std::chrono::steady_clock::now();
  std::size_t const steps = (training.size() + chosen.batch - 1) / chosen.batch * static_cast<std::size_t>(chosen.epochs);
  std::size_t step = 0, tokens = 0;
  double last_loss = 0;
  {
    mpx::progress line;
    for (int epoch = 0; epoch < chosen.epochs; ++epoch) {
      double loss = 0, count = 0;
      for (auto const& batch : training.batches(chosen.batch, chosen.seed, static_cast<std::uint64_t>(epoch))) {
        auto const report = trainer.step(batch);
        loss += report.loss * static_cast<double>(report.tokens);
        count += static_cast<double>(report.tokens);
        tokens += report.tokens;
        if (!chosen.quiet)
          line.show({.step = ++step, .steps = steps, .epoch = static_cast<std::size_t>(epoch) + 1,
                     .epochs = static_cast<std::size_t>(chosen.epochs), .loss = report.loss,
                     .tokens_per_second = report.tokens_per_second(), .learning_rate = report.learning_rate,
                     .gradient_norm = report.gradient_norm});
      }
      last_loss = loss / count;
    }
  }
  double const seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();

  auto const said = answers(trainer, held, most_words);
  std::size_t right = 0;
  std::string first_wrong;
  for (std::size_t i = 0; i < said.size(); ++i) {
    right += said[i] == held_out[i].target;
    if (said[i] != held_out[i].target && first_wrong.empty())
      first_wrong = held_out[i].source + " -> \"" + said[i] + "\", expected \"" + held_out[i].target + '"';
  }
  double const share = 100.0 * static_cast<double>(right) / static_cast<double>(said.size());
  std::printf("\n  precision   devices   pairs   held out   loss     seconds   target tokens/s   exact match\n");
  std::printf("  %-9s   %7zu   %5zu   %8zu   %.4f   %7.1f   %15.0f   %zu/%zu = %.1f %%\n", mpx::dtype_name<typename Recipe::precision::compute>, plan.mesh.devices(),
              training.size(), said.size(), last_loss, seconds, static_cast<double>(tokens) / seconds, right, said.size(), share);
  if (trainer.skipped_steps() > 0) std::printf("  steps skipped because a gradient was not finite: %ld\n", trainer.skipped_steps());
  if (!first_wrong.empty()) std::printf("  first mistake: %s\n", first_wrong.c_str());

  if (!questions.empty()) {
    auto const replies = answers(trainer, asked_of(questions, "--ask"), most_words);
    std::printf("\n");
    for (std::size_t i = 0; i < replies.size(); ++i) std::printf("  %s -> %s\n", questions[i].source.c_str(), replies[i].c_str());
  }
  return 0;
}

/// Every tenth of the user's pairs is held out; of fewer than ten the last one, unless it is the only one.
inline std::pair<std::vector<mpx::text_pair>, std::vector<mpx::text_pair>> split(std::vector<mpx::text_pair> const& pairs) {
  std::pair<std::vector<mpx::text_pair>, std::vector<mpx::text_pair>> parts;
  for (std::size_t i = 0; i < pairs.size(); ++i) (i % 10 == 9 ? parts.second : parts.first).push_back(pairs[i]);
  if (parts.second.empty()) {
    parts.second.push_back(pairs.back());
    if (pairs.size() > 1) parts.first.pop_back();
  }
  return parts;
}

template <class Mesh, class Precision, class LossScaling, class Placement = stages_of<Mesh>,
          template <class, class> class Trainer = on_hosts>
int run_on(options const& chosen) {
  constexpr std::size_t ranks = Mesh::mesh_tensor;
  if (chosen.pairs.empty()) {
    mpx::numbers_to_words const task;
    return train_and_ask<Trainer, words_model<11, 13, 8, ranks>, words_recipe<Mesh, Placement, Precision, LossScaling, 8>>(
        chosen, task.training_set(), task.held_out(), 7);
  }
  auto const pairs = mpx::read_pairs(chosen.pairs);
  auto const [training, held_out] = split(pairs);
  mpx::pair_dataset const all(pairs, chosen.pairs);  // the tokens of both parts
  mpx::pair_dataset const dataset(training, all.source(), all.target(), chosen.pairs);
  return train_and_ask<Trainer, words_model<256, 4096, 64, ranks>, words_recipe<Mesh, Placement, Precision, LossScaling, 64>>(
      chosen, dataset, held_out, 63);
}

template <class Precision, class LossScaling>
int run(options const& chosen) {
  return chosen.mesh == "1,1,1" ? run_on<mesh_of<1, 1, 1>, Precision, LossScaling>(chosen)
                                : run_on<mesh_of<1, 2, 1>, Precision, LossScaling>(chosen);
}
