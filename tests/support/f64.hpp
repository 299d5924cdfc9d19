// A precision in which differences of a loss still have digits.
#pragma once

#include <string_view>

#include <mpx/policy/precision.hpp>

namespace test {

/// Weights, activations, sums and gradients in f64: for checks of gradients, not for training.
struct f64_only {
  using compute = double;
  static constexpr std::string_view label = "f64_only";
};

static_assert(mpx::precision_policy<f64_only>);
static_assert(!mpx::has_master_copy<f64_only>);

}  // namespace test
