/// @file
/// The loss at work.
#pragma once

#include <mpx/layer/operations.hpp>
#include <mpx/model/cross_entropy.hpp>

namespace mpx {

/// In training the logits' gradient is written over the logits at once; backward has nothing left to do. Over several
/// tensor ranks each row's largest logit and sums are taken over all slices; the logits themselves stay where they are.
template <std::size_t V, spread Over>
struct execution<cross_entropy<V, Over>> : no_constants {
  using layer = cross_entropy<V, Over>;

  template <class C>
  static auto forward(operands<layer, C> const& o, input_view<layer, C> x, typename C::compute*) {
    using A = typename C::accumulate;
    C const& c = o.context;
    auto* const logits = o.template kept<0>().data;
    std::size_t const slice = c.capacity.share(V, Over), rows = c.row_count(axis::target, x);
    id_slice const mine{sharded(Over) ? c.ranks.number() * slice : 0, slice};
    std::int32_t const* const targets = c.feed("targets");
    if (c.capture && (sharded(Over) || c.ranks.number() == 0))  // whole logits are written by one rank
      c.machine.last_rows(c.capture + mine.first, V, static_cast<typename C::compute const*>(logits), c.feed("target_lengths"),
                          static_cast<std::size_t>(c.size.sequences), static_cast<std::size_t>(c.size.tokens_on(axis::target)),
                          slice);
    auto const sum = loss_of(c, x);
    auto const smoothing = static_cast<A>(c.step.label_smoothing), scale = static_cast<A>(c.step.gradient_scale);
    bool const training = c.step.mode == run_mode::training;
    if constexpr (C::tensor_ranks == 1 || !sharded(Over)) {
      c.machine.cross_entropy(sum.data, logits, targets, rows, V, smoothing, scale, training);
    } else {
      A* const high = c.template take<A>(layer::forward_scratch[0]);  // [rows]
      A* const sums = c.template take<A>(layer::forward_scratch[1]);  // [3, rows]
      c.machine.row_maxima(high, logits, rows, slice);
      c.ranks.all_reduce_max(high, rows);
      c.machine.cross_entropy_sums(sums, static_cast<typename C::compute const*>(logits), static_cast<A const*>(high), targets,
                                   rows, mine, smoothing > A(0));
      c.ranks.all_reduce(sums, 3 * rows);
      c.machine.cross_entropy_slice(sum.data, logits, high, sums, targets, rows, V, mine, smoothing, scale, training);
    }
    return sum;
  }

  template <class C>
  static auto backward(operands<layer, C> const& o, output_gradient_view<layer, C>, typename C::compute* dx) {
    return scaled_of(o.context, dx, o.template kept<0>());
  }
};

}  // namespace mpx
