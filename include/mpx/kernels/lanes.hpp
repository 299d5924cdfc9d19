/// @file
/// How a formula walks along a row, whoever runs it.
#pragma once

#include <concepts>
#include <cstddef>

#include <mpx/core/diagnostic.hpp>

namespace mpx::kernels {

namespace detail {

/// Two functions of an element's index, to ask the concept with.
struct visit_sample {
  void operator()(std::size_t) const {}
};
struct value_sample {
  float operator()(std::size_t) const { return 0.0f; }
};

template <class L>
concept walks_along_a_row = requires(L const lanes, std::size_t n) {
  lanes.each(n, visit_sample{});
  { lanes.sum(n, value_sample{}) } -> std::same_as<float>;
  { lanes.max(n, value_sample{}) } -> std::same_as<float>;
};

}  // namespace detail

/// The workers that share one row: the host's SIMD lanes, a warp, a block. Indices run from 0 to n - 1.
///   each(n, f)  calls f(i) for every i, in any order
///   sum(n, f)   adds f(i) in an order that depends on n alone; every worker gets the result; 0 when n is 0
///   max(n, f)   the largest f(i), NaN ignored; -inf when n is 0
template <class L>
concept lanes = detail::walks_along_a_row<L> ||
    unsatisfied<"lanes offer each(n, f), sum(n, f) and max(n, f) over indices of a row", L>();

}  // namespace mpx::kernels
