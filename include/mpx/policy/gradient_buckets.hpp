/// @file
/// In which portions gradients travel over the data ranks.
#pragma once

#include <mpx/core/units.hpp>

namespace mpx {

/// Gradients are summed over the data ranks in runs of layers, the last ones first: a run is closed when it has `Size`
/// bytes, and is on its way as soon as the last backward has finished with it. Large buckets are few messages, small
/// ones leave early. No size changes a bit.
/// Source  Li et al. 2020, arXiv:2006.15704 (gradient bucketing)
template <bytes Size = bytes{25u << 20}>
struct gradient_buckets {
  static constexpr bytes bucket = Size;
};

}  // namespace mpx
