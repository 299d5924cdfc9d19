/// @file
/// Passes that come again step after step, by name.
#pragma once

#include <mpx/core/extent.hpp>

namespace mpx {

/// What a pass of a device does.
enum class pass_kind : unsigned char { forward, backward, backward_input, backward_weights, update };

/// Passes of one name ask a machine for the same operations in the same order, though some operands may differ from step to
/// step. A machine that offers repeat(name, pass) may do them faster than one by one; a layer that asks for others is done as
/// it asks, and only loses that.
struct pass_name {
  pass_kind kind = pass_kind::forward;
  int stage = 0;
  int slot = 0;           ///< which copy of the saved activations it works on
  int deferred = 0;       ///< and of what a backward leaves to its later half
  bool replaces = false;  ///< a step's first gradients, which are written, not added
  bool trains = true;     ///< false: an evaluation's forward
  bool captures = false;  ///< a forward whose last logits the host wants
  extents size{};         ///< of the microbatch

  friend constexpr bool operator==(pass_name const&, pass_name const&) = default;
};

}  // namespace mpx
