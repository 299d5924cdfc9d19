/// @file
/// A stage's gradients on their way over the data ranks.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include <mpx/backend/operations.hpp>
#include <mpx/plan/sections.hpp>

namespace mpx {

/// Where a stage has its gradients, and what else their sums need.
template <class A>
struct gradient_places {
  A* gradients = nullptr;  ///< all of them, or this data rank's slices one after the other
  A* waiting = nullptr;    ///< sums of earlier microbatches, where a rank keeps all gradients and sums each microbatch
  A* buffers = nullptr;    ///< where a rank keeps slices: `at_once` buckets of `bucket` elements
  std::size_t bucket = 0, at_once = 0;
};

/// How often, and into what: of a recipe.
struct gradient_ways {
  bool scatters = false;           ///< into slices; else every rank gets the whole sum
  bool keeps_slices = false;       ///< and backward writes into buffers of one bucket
  bool each_microbatch = false;    ///< else after the last one
  sum_order order = sum_order::one_by_one;
};

/// Sums one stage's gradients with the D - 1 other data ranks, section by section. A section is brought when a backward has
/// finished with its bucket's layers, and taken where its memory is needed again, or when the device has run all its
/// actions. What it does by itself, its stage's machine does.
template <class Group, class A, std::size_t D>
class gradient_reducer {
 public:
  using section = gradient_section<D>;

  /// `slices`: this rank's of the sections, where they are divided. `first_number`: of the sums of this stage among those of
  /// its device.
  gradient_reducer(gradient_places<A> const& places, std::vector<gradient_bucket> buckets,
                   std::vector<section> sections, std::span<held_slice const> slices, gradient_ways const& ways, Group& ranks,
                   std::size_t rank, std::size_t first_number)
      : places_(places),
        buckets_(std::move(buckets)),
        sections_(std::move(sections)),
        slices_(slices),
        ways_(ways),
        ranks_(&ranks),
        rank_(rank),
        first_number_(first_number) {}

  /// How many numbers of sums it takes: two microbatches' sums of a section may be under way at once.
  [[nodiscard]] std::size_t numbers() const { return 2 * sections_.size(); }

  /// Calls f(section) for those whose gradients are whole when backward has finished with this layer.
  template <class F>
  void each_section_of(std::size_t layer, F&& f) const {
    for (auto const& s : sections_)
      if (s.first_layer == layer) f(s);
  }

  /// Before the first backward of a step.
  void begin_step() {
    passes_ = turn_ = 0;
    under_way_ = {};
  }

  /// Before a backward begins with this layer. Calls go_to(memory, first) when its gradients, and those of its bucket, are
  /// to stand there from the `first`-th on.
  template <class Machine, class GoTo>
  void enter(Machine& machine, std::size_t layer, GoTo&& go_to) {
    for (std::size_t b = 0; b < buckets_.size(); ++b) {
      if (buckets_[b].end_layer != layer + 1) continue;
      if (ways_.keeps_slices) {
        turn_ = (turn_ + 1) % places_.at_once;
        keep(machine, turn_);
        go_to(buffer(turn_), buckets_[b].begin);
        under_way_[turn_] = {b, passes_, true};
      } else if (ways_.each_microbatch && passes_ > 0) {
        take(b, passes_ - 1);
        add_up(machine, b, passes_ - 1, false);
      }
    }
  }

  /// A backward has finished with this layer; `last` of this step.
  void leave(std::size_t layer, bool last) {
    if (!last && !ways_.each_microbatch) return;
    for (std::size_t b = 0; b < buckets_.size(); ++b)
      if (buckets_[b].first_layer == layer)
        each_of(b, [&](std::size_t k, section const& s) {
          A* const data = ways_.keeps_slices ? buffer(turn_) + (s.begin - buckets_[b].begin) : places_.gradients + s.begin;
          std::span<std::size_t const> const slices = ways_.scatters ? std::span<std::size_t const>(s.slices) : std::span<std::size_t const>();
          ranks_->begin_sum(static_cast<int>(rank_), number(k, passes_), data, s.size(), slices, ways_.order);
        });
  }

  /// A backward is over.
  void end_pass() { ++passes_; }

  /// Gradients become the sum over the data ranks. What the others have not brought yet is waited for here.
  template <class Machine>
  void finish(Machine& machine) {
    if (ways_.keeps_slices) {
      for (std::size_t i = 1; i <= places_.at_once; ++i) keep(machine, (turn_ + i) % places_.at_once);  // the oldest first
      return;
    }
    int const rank = static_cast<int>(rank_);
    for (std::size_t k = 0; k < sections_.size(); ++k) ranks_->template take_sum<A>(rank, number(k, passes_ - 1));
    for (std::size_t k = 0; k < sections_.size(); ++k) ranks_->end_sum(rank, number(k, passes_ - 1));
    if (ways_.each_microbatch)
      for (std::size_t b = 0; b < buckets_.size(); ++b) add_up(machine, b, passes_ - 1, true);
  }

  /// Every data rank gets the others' slices of the weights.
  /// Shapes  weights: all that the stage holds
  template <class W>
  void gather(std::span<W> weights) {
    for (auto const& s : sections_) {
      if (s.begin >= weights.size()) continue;  // its layer reads another one's
      W* const whole = weights.data() + s.begin;
      ranks_->all_gather(static_cast<int>(rank_), whole + s.slices[rank_], whole, s.slices);
    }
  }

 private:
  /// A bucket whose sums are under way, in a buffer.
  struct occupant {
    std::size_t bucket = 0, pass = 0;
    bool there = false;
  };

  [[nodiscard]] std::size_t number(std::size_t k, std::size_t pass) const { return first_number_ + 2 * k + pass % 2; }
  [[nodiscard]] A* buffer(std::size_t i) const { return places_.buffers + i * places_.bucket; }

  /// Calls f(number, section) for the sections of a bucket.
  template <class F>
  void each_of(std::size_t bucket, F&& f) const {
    for (std::size_t k = 0; k < sections_.size(); ++k)
      if (sections_[k].begin >= buckets_[bucket].begin && sections_[k].end <= buckets_[bucket].end) f(k, sections_[k]);
  }

  void take(std::size_t bucket, std::size_t pass) {
    int const rank = static_cast<int>(rank_);
    each_of(bucket, [&](std::size_t k, section const&) { ranks_->template take_sum<A>(rank, number(k, pass)); });
    each_of(bucket, [&](std::size_t k, section const&) { ranks_->end_sum(rank, number(k, pass)); });
  }

  /// A buffer is free again: this rank's slices of what was in it are added to those of earlier microbatches.
  template <class Machine>
  void keep(Machine& machine, std::size_t i) {
    occupant const was = std::exchange(under_way_[i], occupant{});
    if (!was.there) return;
    take(was.bucket, was.pass);
    each_of(was.bucket, [&](std::size_t k, section const&) {
      held_slice const& mine = slices_[k];
      A const* const sum = buffer(i) + (mine.begin - buckets_[was.bucket].begin);
      std::size_t const n = mine.end - mine.begin;
      if (n == 0) return;
      if (was.pass == 0) machine.copy(places_.gradients + mine.stored, sum, n * sizeof(A));
      else machine.add(places_.gradients + mine.stored, sum, n);
    });
  }

  /// All gradients of a bucket are the sum of one microbatch: adds those of the earlier ones, and makes room for the next.
  template <class Machine>
  void add_up(Machine& machine, std::size_t bucket, std::size_t pass, bool last) {
    gradient_bucket const& b = buckets_[bucket];
    A* const sum = places_.gradients + b.begin;
    A* const waiting = places_.waiting + b.begin;
    if (pass > 0) machine.add(sum, waiting, b.size());
    if (!last) machine.copy(waiting, sum, b.size() * sizeof(A));
  }

  gradient_places<A> places_;
  std::vector<gradient_bucket> buckets_;
  std::vector<section> sections_;
  std::span<held_slice const> slices_;  ///< of each section
  gradient_ways ways_;
  Group* ranks_;
  std::size_t rank_;
  std::size_t first_number_;
  std::size_t passes_ = 0, turn_ = 0;      ///< backwards of this step; the buffer in use
  std::array<occupant, 2> under_way_{};  ///< what is in each buffer
};

}  // namespace mpx
