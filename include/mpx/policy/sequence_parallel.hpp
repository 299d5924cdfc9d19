/// @file
/// What tensor ranks hold of the rows between sharded layers.
#pragma once

#include <mpx/core/layout.hpp>

namespace mpx {

/// All of them (default): norms, dropout and residual sums are done on each tensor rank alike.
struct whole_rows {
  static constexpr spread rows_over_tensor = spread::invariant;
};

/// A slice of them: norms, dropout and residual sums are shared too, and so are the activations that they keep. Sums of
/// rows are left in slices, and slices are gathered where all rows are needed: as many bytes travel in a forward, more in
/// a backward, which gathers again instead of keeping. Without tensor ranks nothing changes.
/// Source  Korthikanti et al. 2022, arXiv:2205.05198, section 4.2.2
struct sequence_parallel {
  static constexpr spread rows_over_tensor = spread::sharded_0;
};

}  // namespace mpx
