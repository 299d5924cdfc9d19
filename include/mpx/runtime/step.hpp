/// @file
/// What the devices are asked to do, and what they answer.
#pragma once

#include <cstddef>
#include <cstdint>

#include <mpx/layer/context.hpp>
#include <mpx/tensor/batch.hpp>

namespace mpx {

enum class job_kind : unsigned char { train, evaluate, finish };

/// One pass over a batch, the same for every device.
template <class Recipe>
struct job {
  job_kind kind = job_kind::evaluate;
  batch const* data = nullptr;
  step_values values{};
  float loss_scale = 1;
  typename Recipe::clipping clipping{};
  typename Recipe::optimizer optimizer{};
  typename Recipe::optimizer::constants constants{};
  float* capture = nullptr;  ///< [sequences, V]: each sequence's last logits, when they are asked for
};

/// What a pass gave.
struct job_result {
  double loss_sum = 0;  ///< over all tokens
  bool finite = true;
  float gradient_norm = 0;
};

}  // namespace mpx
