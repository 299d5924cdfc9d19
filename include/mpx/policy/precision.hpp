/// @file
/// Which number types a model is trained in.
#pragma once

#include <concepts>
#include <string_view>

#include <mpx/core/diagnostic.hpp>
#include <mpx/core/dtype.hpp>
#include <mpx/core/extent.hpp>

namespace mpx {

namespace detail {

template <class T>
inline constexpr bool computes_in =
    std::same_as<T, float> || std::same_as<T, double> || std::same_as<T, bf16> || std::same_as<T, f16>;

}  // namespace detail

/// Names the type of weights, activations and products; everything that is summed up is `accumulator_t<compute>`.
template <class T>
concept precision_policy =
    requires {
      typename T::compute;
      { T::label } -> std::convertible_to<std::string_view>;
      requires detail::computes_in<typename T::compute>;
    } ||
    unsatisfied<"a precision policy offers `using compute = float`, `double`, `mpx::bf16` or `mpx::f16` and `static constexpr std::string_view label`", T>();

/// Weights, activations and sums in f32.
struct f32_only {
  using compute = float;
  static constexpr std::string_view label = "f32_only";
};

/// Weights, activations and products in bf16; sums, gradients and the optimizer's own weights in f32.
/// bf16 has f32's exponent, so gradients seldom vanish and loss scaling is rarely needed.
/// Source  Kalamkar et al. 2019, "A study of bfloat16 for deep learning training", arXiv:1905.12322
struct bf16_mixed {
  using compute = bf16;
  static constexpr std::string_view label = "bf16_mixed";
};

/// Weights, activations and products in f16; sums, gradients and the optimizer's own weights in f32.
/// f16 holds nothing smaller than 6e-8: combine with loss scaling.
/// Source  Micikevicius et al. 2017, "Mixed precision training", arXiv:1710.03740
struct f16_mixed {
  using compute = f16;
  static constexpr std::string_view label = "f16_mixed";
};

/// Units   bytes of one element
template <precision_policy Precision>
inline constexpr element_sizes sizes_of{.compute = sizeof(typename Precision::compute),
                                        .accumulate = sizeof(accumulator_t<typename Precision::compute>)};

/// The optimizer keeps its own weights, from which the weights in `compute` are rounded after every step.
template <precision_policy Precision>
inline constexpr bool has_master_copy =
    !std::same_as<typename Precision::compute, accumulator_t<typename Precision::compute>>;

}  // namespace mpx
