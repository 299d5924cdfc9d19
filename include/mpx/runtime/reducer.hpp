/// @file
/// A stage's gradients on their way over the data ranks.
#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include <mpx/backend/operations.hpp>
#include <mpx/plan/sections.hpp>

namespace mpx {

/// Sums one stage's gradients with the D - 1 other data ranks, section by section: to the whole sum on each, or to a slice.
/// A section is brought when the last backward of the step has finished with its bucket's layers; nobody waits before the
/// device has run all its actions.
template <class Group, class A, std::size_t D>
class gradient_reducer {
 public:
  using section = gradient_section<D>;

  /// `first_number`: of the sums of this stage among those of its device. `scatters`: into slices.
  gradient_reducer(std::span<A> gradients, std::vector<section> sections, bool scatters, Group& ranks, int rank,
                   std::size_t first_number, sum_order order)
      : gradients_(gradients),
        sections_(std::move(sections)),
        scatters_(scatters),
        ranks_(&ranks),
        rank_(rank),
        first_number_(first_number),
        order_(order) {}

  [[nodiscard]] std::span<section const> sections() const { return sections_; }

  /// Calls f(section) for those whose gradients are whole when backward has finished with this layer.
  template <class F>
  void each_section_of(std::size_t layer, F&& f) const {
    for (auto const& s : sections_)
      if (s.first_layer == layer) f(s);
  }

  /// The last backward of the step has finished with this layer.
  void leave(std::size_t layer) {
    for (std::size_t k = 0; k < sections_.size(); ++k) {
      section const& s = sections_[k];
      if (s.first_layer != layer) continue;
      std::span<std::size_t const> const slices = scatters_ ? std::span<std::size_t const>(s.slices) : std::span<std::size_t const>();
      ranks_->begin_sum(rank_, first_number_ + k, gradients_.data() + s.begin, s.size(), slices, order_);
    }
  }

  /// Gradients become the sum over the data ranks. What the others have not brought yet is waited for here.
  void finish() {
    for (std::size_t k = 0; k < sections_.size(); ++k) ranks_->template take_sum<A>(rank_, first_number_ + k);
    for (std::size_t k = 0; k < sections_.size(); ++k) ranks_->end_sum(rank_, first_number_ + k);
  }

  /// Every data rank gets the others' slices of the weights.
  /// Shapes  weights: all of the stage
  template <class W>
  void gather(W* weights) {
    for (auto const& s : sections_) {
      W* const whole = weights + s.begin;
      ranks_->all_gather(rank_, whole + s.slices[static_cast<std::size_t>(rank_)], whole, s.slices);
    }
  }

 private:
  std::span<A> gradients_;
  std::vector<section> sections_;
  bool scatters_;
  Group* ranks_;
  int rank_;
  std::size_t first_number_;
  sum_order order_;
};

}  // namespace mpx
