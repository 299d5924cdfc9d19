/// @file
/// The factor that the loss is multiplied by so that small gradients survive in 16 bits.
#pragma once

#include <algorithm>
#include <concepts>
#include <type_traits>

#include <mpx/core/diagnostic.hpp>

namespace mpx {

/// A pure automaton: the trainer holds the state and asks for the next one after each step.
/// `finite` is true when no gradient of any stage was infinite or NaN; a step that was not finite changes no weight.
template <class T>
concept loss_scaling_policy =
    requires(T const policy, typename T::state const state) {
      requires std::is_trivially_copyable_v<typename T::state>;
      { policy.initial() } -> std::same_as<typename T::state>;
      { policy.scale(state) } -> std::same_as<float>;
      { policy.next(state, true) } -> std::same_as<typename T::state>;
    } ||
    unsatisfied<"a loss scaling policy offers a copyable `state`, `state initial() const`, `float scale(state const&) const` and `state next(state const&, bool) const`", T>();

/// The loss is not scaled. Right for f32 and, nearly always, for bf16.
struct no_loss_scaling {
  struct state {
    friend constexpr bool operator==(state const&, state const&) = default;
  };

  [[nodiscard]] constexpr state initial() const noexcept { return {}; }
  [[nodiscard]] constexpr float scale(state const&) const noexcept { return 1.0f; }
  [[nodiscard]] constexpr state next(state const& now, bool) const noexcept { return now; }
};

/// The loss is always scaled by `factor`. A power of two makes scaling and unscaling exact.
/// Source  Micikevicius et al. 2017, "Mixed precision training", arXiv:1710.03740, section 3.2
struct static_loss_scaling {
  float factor = 1024.0f;

  struct state {
    friend constexpr bool operator==(state const&, state const&) = default;
  };

  [[nodiscard]] constexpr state initial() const noexcept { return {}; }
  [[nodiscard]] constexpr float scale(state const&) const noexcept { return factor; }
  [[nodiscard]] constexpr state next(state const& now, bool) const noexcept { return now; }
};

/// The scale grows after `interval` finite steps in a row and shrinks when gradients overflow.
///
/// `hysteresis` is the number of non-finite steps after which the scale begins to shrink: 1 shrinks it at the first,
/// 2 forgives one. Forgiveness is used up until the next growth: single finite steps do not bring it back, so a scale
/// that overflows every other step shrinks too, and once used up every further non-finite step shrinks the scale.
///
/// Units   initial, minimum, maximum: factors of the loss, best powers of two; interval, hysteresis: steps
/// Source  Micikevicius et al. 2017, arXiv:1710.03740, section 3.2; hysteresis as in Megatron-LM's DynamicGradScaler
struct dynamic_loss_scaling {
  float initial_scale = 65536.0f;
  float growth = 2.0f;
  float backoff = 0.5f;
  int interval = 2000;
  int hysteresis = 1;
  float minimum = 1.0f;
  float maximum = 0x1p24f;

  struct state {
    float scale = 1.0f;
    int finite_steps = 0;  ///< in a row, since the scale last grew
    int forgiveness = 1;   ///< at 1 or less the next non-finite step shrinks the scale

    friend constexpr bool operator==(state const&, state const&) = default;
  };

  [[nodiscard]] constexpr state initial() const noexcept {
    return {.scale = initial_scale, .finite_steps = 0, .forgiveness = hysteresis};
  }

  [[nodiscard]] constexpr float scale(state const& now) const noexcept { return now.scale; }

  [[nodiscard]] constexpr state next(state const& now, bool finite) const noexcept {
    if (!finite) {
      float const smaller = std::max(now.scale * backoff, minimum);
      // Not decremented below 0, so that the count cannot overflow in a run that never recovers.
      int const left = std::max(now.forgiveness - 1, 0);
      return {.scale = left == 0 ? smaller : now.scale, .finite_steps = 0, .forgiveness = left};
    }
    if (now.finite_steps + 1 >= interval) {
      return {.scale = std::min(now.scale * growth, maximum), .finite_steps = 0, .forgiveness = hysteresis};
    }
    return {.scale = now.scale, .finite_steps = now.finite_steps + 1, .forgiveness = now.forgiveness};
  }
};

}  // namespace mpx
