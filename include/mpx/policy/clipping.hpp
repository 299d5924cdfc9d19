/// @file
/// How gradients are bounded before the optimizer sees them.
#pragma once

#include <concepts>

#include <mpx/config/config.hpp>
#include <mpx/core/diagnostic.hpp>

namespace mpx {

/// Decides one factor for all gradients, from their joint norm.
template <class T>
concept clips_by_norm = requires(T const policy, float norm) {
  { policy.scale(norm) } -> std::same_as<float>;
};

/// Decides every gradient element by itself.
template <class T>
concept clips_by_element = requires(T const policy, float gradient) {
  { policy.element(gradient) } -> std::same_as<float>;
};

/// Bounds gradients in one of two ways, so that nothing has to say which of two came first.
/// Units   gradients and norm after division by the loss scale; the norm is the L2 norm over all stages
template <class T>
concept clipping_policy =
    (clips_by_norm<T> && !clips_by_element<T>) || (clips_by_element<T> && !clips_by_norm<T>) ||
    unsatisfied<"a clipping policy offers either `float scale(float norm) const`, the factor of all gradients, or `float element(float gradient) const`, applied value by value", T>();

/// Gradients pass unchanged.
struct no_clipping {
  [[nodiscard]] MPX_HOST_DEVICE constexpr float scale(float) const noexcept { return 1.0f; }
};

/// Each gradient element is kept within [-limit, limit]. This may turn the gradient; its norm stays unbounded by it.
/// Units   the gradient's own, after division by the loss scale
struct clip_by_value {
  float limit = 1.0f;

  [[nodiscard]] MPX_HOST_DEVICE MPX_INLINE constexpr float element(float gradient) const noexcept {
    float const above = gradient < -limit ? -limit : gradient;
    return above > limit ? limit : above;
  }
};

/// All gradients shrink together until their joint L2 norm is at most `max_norm`.
/// The factor is max_norm / norm without PyTorch's 1e-6 under the line, so that a norm of max_norm stays what it is.
/// Shapes  any; the norm is taken over all parameters of all stages
/// Units   norm of the unscaled gradient, after division by the loss scale
/// Source  Pascanu, Mikolov, Bengio 2013, arXiv:1211.5063, algorithm 1
struct clip_by_global_norm {
  float max_norm = 1.0f;

  [[nodiscard]] MPX_HOST_DEVICE constexpr float scale(float norm) const noexcept { return norm > max_norm ? max_norm / norm : 1.0f; }
};

}  // namespace mpx
