/// @file
/// A stage's gradients on their way over the data ranks.
#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include <mpx/backend/operations.hpp>
#include <mpx/plan/buckets.hpp>

namespace mpx {

/// Sums one stage's gradients with the other data ranks, bucket by bucket. A bucket is brought when the last backward of
/// the step has finished with its layers; nobody waits before the device has run all its actions.
template <class Group, class A>
class gradient_reducer {
 public:
  /// `first_number`: of the sums of this stage among those of its device.
  gradient_reducer(std::span<A> gradients, std::vector<gradient_bucket> buckets, Group& ranks, int rank,
                   std::size_t first_number, sum_order order)
      : gradients_(gradients), buckets_(std::move(buckets)), ranks_(&ranks), rank_(rank), first_number_(first_number), order_(order) {}

  /// Calls f(bucket) for the bucket that is whole when backward has finished with this layer, if there is one.
  template <class F>
  void with_bucket_of(std::size_t layer, F&& f) const {
    for (auto const& b : buckets_)
      if (b.first_layer == layer) f(b);
  }

  /// The last backward of the step has finished with this layer.
  void leave(std::size_t layer) {
    for (std::size_t k = 0; k < buckets_.size(); ++k)
      if (buckets_[k].first_layer == layer)
        ranks_->begin_sum(rank_, first_number_ + k, gradients_.data() + buckets_[k].begin, buckets_[k].size(), {}, order_);
  }

  /// Gradients become the sum over the data ranks. What the others have not brought yet is waited for here.
  void finish() {
    for (std::size_t k = 0; k < buckets_.size(); ++k) ranks_->template take_sum<A>(rank_, first_number_ + k);
    for (std::size_t k = 0; k < buckets_.size(); ++k) ranks_->end_sum(rank_, first_number_ + k);
  }

  /// How many sums it has under way at once.
  [[nodiscard]] std::size_t sums() const { return buckets_.size(); }

 private:
  std::span<A> gradients_;
  std::vector<gradient_bucket> buckets_;
  Group* ranks_;
  int rank_;
  std::size_t first_number_;
  sum_order order_;
};

}  // namespace mpx
