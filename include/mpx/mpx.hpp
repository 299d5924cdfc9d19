/// @file
/// All of mpx that needs no GPU: describe, place, plan, train.
#pragma once

#include <mpx/config/config.hpp>
#include <mpx/host/backend.hpp>
#include <mpx/io/numbers_to_words.hpp>
#include <mpx/io/text.hpp>
#include <mpx/model/gpt2.hpp>
#include <mpx/model/llama.hpp>
#include <mpx/model/seq2seq.hpp>
#include <mpx/model/t5.hpp>
#include <mpx/plan/print.hpp>
#include <mpx/policy/recipe.hpp>
#include <mpx/train/generation.hpp>
#include <mpx/train/progress.hpp>
#include <mpx/train/trainer.hpp>

namespace mpx {

/// Trains a model under a recipe on this machine's devices.
template <class Model, class Recipe, backend Backend = on_host::backend>
using trainer = basic_trainer<Model, Recipe, Backend>;

}  // namespace mpx
