/// @file
/// Threads that work on GPUs meet at a barrier and combine their buffers.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <mpx/backend/operations.hpp>
#include <mpx/core/error.hpp>
#include <mpx/cuda/channel.hpp>
#include <mpx/cuda/check.hpp>
#include <mpx/cuda/launch.hpp>
#include <mpx/cuda/reduce.hpp>

namespace mpx::on_cuda {

/// N threads that take part in the same collectives in the same order. A kernel reads all buffers in place: GPUs must reach
/// each other's memory, or be one.
/// Errors  throws mpx::error when a rank waits past the deadline, when the ranks disagree on the number of elements, when a
///         summand is missing or there are more than 64; throws `aborted` in every rank after `abort()`
class group {
 public:
  /// Each rank brings one summand to all_reduce, or all of them together bring as many as `summands` says.
  group(std::string name, int ranks, std::chrono::milliseconds deadline, std::size_t summands)
      : name_(std::move(name)),
        parts_(summands),
        counts_(static_cast<std::size_t>(ranks > 0 ? ranks : 0)),
        brought_(counts_.size()),
        here_(counts_.size()),
        deadline_(deadline) {
    if (ranks <= 0) throw error({"a group without ranks", name_, "at least 1 rank", std::to_string(ranks)});
    if (summands > combine_parts<float>::most_parts)
      throw error({"a group with too many summands", name_, "at most " + std::to_string(combine_parts<float>::most_parts),
                   std::to_string(summands)});
  }
  group(std::string name, int ranks, std::chrono::milliseconds deadline)
      : group(std::move(name), ranks, deadline, static_cast<std::size_t>(ranks > 0 ? ranks : 0)) {}
  group(group const&) = delete;
  group& operator=(group const&) = delete;

  [[nodiscard]] int size() const noexcept { return static_cast<int>(counts_.size()); }

  /// Returns when every rank has called it. What they wrote to the host's memory is then seen by all.
  void barrier(int rank) {
    std::unique_lock lock(mutex_);
    meet(lock, rank, "barrier");
  }

  /// Every rank's data becomes the sum over all ranks, in rank order, bit for bit the same everywhere.
  /// Shapes  data: [n], on each rank
  template <class T> void all_reduce(int rank, T* data, std::size_t n) { combine(rank, data, n, combine_order::one_by_one); }
  /// The same, added in pairs, pairs of pairs and so on.
  template <class T> void all_reduce_in_pairs(int rank, T* data, std::size_t n) {
    combine(rank, data, n, combine_order::in_pairs);
  }
  /// Every rank's data becomes the largest of each place over all ranks.
  template <class T> void all_reduce_max(int rank, T* data, std::size_t n) { combine(rank, data, n, combine_order::largest); }
  /// Every summand becomes the sum over all of them, in the order of their places, whoever brings which.
  template <class T> void all_reduce(int rank, std::span<summand<T> const> mine, std::size_t n) {
    combine(rank, mine, n, combine_order::one_by_one);
  }

  /// Bytes that one rank has brought to collectives since construction.
  [[nodiscard]] std::uint64_t bytes_brought(int rank) const { return brought_[static_cast<std::size_t>(rank)]; }

  /// Forgets an abort and a half-met barrier. Only while no rank is inside.
  void open() {
    std::scoped_lock const lock(mutex_);
    aborted_ = false;
    arrived_ = 0;
    std::fill(here_.begin(), here_.end(), char{0});
    std::fill(parts_.begin(), parts_.end(), nullptr);
  }
  /// Wakes all ranks; each throws `aborted`, now and in every later call until `open()`.
  void abort() {
    {
      std::scoped_lock const lock(mutex_);
      aborted_ = true;
    }
    all_arrived_.notify_all();
  }

 private:
  template <class T>
  void combine(int rank, T* data, std::size_t n, combine_order order) {
    summand<T> const mine{data, static_cast<std::size_t>(rank)};
    combine(rank, std::span<summand<T> const>(&mine, 1), n, order);
  }

  template <class T>
  void combine(int rank, std::span<summand<T> const> mine, std::size_t n, combine_order order) {
    auto const number = static_cast<std::size_t>(rank);
    wait_for_queue();  // the others read what this rank has written
    {
      std::unique_lock lock(mutex_);
      counts_[number] = n;
      for (auto const& one : mine) {
        if (one.place >= parts_.size())
          throw error({"all_reduce with a summand too many", name_, std::to_string(parts_.size()) + " summands",
                       "one at place " + std::to_string(one.place)});
        parts_[one.place] = one.data;
      }
      meet(lock, rank, "all_reduce");
      for (std::size_t other = 0; other < counts_.size(); ++other)
        if (counts_[other] != n)
          throw error({"all_reduce over different numbers of elements", name_, of_rank(rank) + std::to_string(n),
                       of_rank(static_cast<int>(other)) + std::to_string(counts_[other])});
      for (std::size_t place = 0; place < parts_.size(); ++place)
        if (parts_[place] == nullptr && n > 0)
          throw error({"all_reduce without one of its summands", name_, std::to_string(parts_.size()) + " summands",
                       "none at place " + std::to_string(place)});
    }
    // Each rank combines its own share, a whole number of runs, and hands the result to all.
    std::size_t const share = runs_of(runs_of(n, counts_.size())) * run_length;
    std::size_t const begin = std::min(number * share, n);
    combine_parts<T> body{{}, parts_.size(), begin, std::min(share, n - begin), order};
    for (std::size_t p = 0; p < parts_.size(); ++p) body.parts[p] = static_cast<T*>(parts_[p]);
    launch(body);
    wait_for_queue();
    brought_[number] += mine.size() * n * sizeof(T);  // its own rank alone writes it
    std::unique_lock lock(mutex_);
    meet(lock, rank, "all_reduce");
    for (auto const& one : mine) parts_[one.place] = nullptr;
  }

  static std::string of_rank(int rank) { return "rank " + std::to_string(rank) + " with "; }

  void meet(std::unique_lock<std::mutex>& lock, int rank, char const* what) {
    if (aborted_) throw aborted(name_);
    here_[static_cast<std::size_t>(rank)] = 1;
    if (++arrived_ == counts_.size()) {
      arrived_ = 0;
      std::fill(here_.begin(), here_.end(), char{0});
      ++meetings_;
      all_arrived_.notify_all();
      return;
    }
    auto const seen = meetings_;
    bool const in_time = all_arrived_.wait_for(lock, deadline_, [&] { return aborted_ || meetings_ != seen; });
    if (meetings_ != seen) return;
    if (aborted_) throw aborted(name_);
    if (in_time) return;
    std::string there = std::to_string(arrived_--) + " of " + std::to_string(counts_.size()) + ", without rank";
    for (std::size_t r = 0; r < here_.size(); ++r)
      if (here_[r] == 0) there += ' ' + std::to_string(r);
    throw error({.what = std::string(what) + ": rank " + std::to_string(rank) + " waits past the deadline", .where = name_,
                 .expected = "all ranks within " + std::to_string(deadline_.count()) + " ms", .got = there});
  }

  std::string const name_;
  std::vector<void*> parts_;            ///< the summands of the collective under way, by place
  std::vector<std::size_t> counts_;     ///< the elements that each rank brings
  std::vector<std::uint64_t> brought_;  ///< bytes of all collectives, by rank
  std::vector<char> here_;              ///< who has come to the meeting under way
  std::chrono::milliseconds const deadline_;

  std::mutex mutex_;
  std::condition_variable all_arrived_;
  std::size_t arrived_ = 0;
  std::uint64_t meetings_ = 0;
  bool aborted_ = false;
};

}  // namespace mpx::on_cuda
