/// @file
/// Threads that meet at a barrier, sum their buffers, and give each other slices of them.
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
#include <mpx/config/config.hpp>
#include <mpx/core/dtype.hpp>
#include <mpx/core/error.hpp>
#include <mpx/host/channel.hpp>

namespace mpx::on_host {

/// How parts become one: their sum, or the largest of each place.
struct sum_of {
  template <class A>
  static MPX_INLINE A with(A a, A b) {
    return a + b;
  }
};
struct max_of {
  template <class A>
  static MPX_INLINE A with(A a, A b) {
    return b > a ? b : a;
  }
};

/// In which order: ((p0 p1) p2) p3, or (p0 p1) (p2 p3).
enum class combine_order { one_by_one, in_pairs };

/// whole[i] = the parts' i-th elements combined, for i from `begin` to `end`: written to every part, or to `slice` alone
/// where there is one.
/// Shapes  parts: [count] pointers to at least `end` elements each, count at most 2^15 in pairs; slice: [end - begin],
///         which may lie in a part at `begin`
/// Types   every result in accumulator_t<T>, rounded once
template <class Combine, combine_order Order, class T>
[[gnu::flatten]] MPX_KERNEL void combine_parts(void* const* parts, std::size_t count, std::size_t begin, std::size_t end,
                                               T* slice = nullptr) {
  using A = accumulator_t<T>;
  constexpr std::size_t block = 256;
  // In pairs, results that have no equal partner yet wait, like the digits of a binary counter.
  constexpr bool in_pairs = Order == combine_order::in_pairs;
  A whole[in_pairs ? 16 : 1][block];
  for (; begin < end; begin += block) {
    std::size_t const n = end - begin < block ? end - begin : block;
    [[maybe_unused]] std::size_t waiting = 0;
    for (std::size_t p = 0; p < count; ++p) {
      T const* const part = static_cast<T const*>(parts[p]) + begin;
      if constexpr (in_pairs) {
        A* const own = whole[waiting++];
        MPX_SIMD
        for (std::size_t i = 0; i < n; ++i) own[i] = A(part[i]);
        // Partners of equal size become one; behind the last part all that waits does.
        for (std::size_t carry = p; waiting > 1 && (carry % 2 == 1 || p + 1 == count); carry /= 2, --waiting) {
          A* const left = whole[waiting - 2];
          A const* const right = whole[waiting - 1];
          MPX_SIMD
          for (std::size_t i = 0; i < n; ++i) left[i] = Combine::with(left[i], right[i]);
        }
      } else {
        MPX_SIMD
        for (std::size_t i = 0; i < n; ++i) whole[0][i] = p == 0 ? A(part[i]) : Combine::with(whole[0][i], A(part[i]));
      }
    }
    for (std::size_t p = 0; p < (slice ? 1 : count); ++p) {
      T* const part = slice ? slice : static_cast<T*>(parts[p]) + begin;
      MPX_SIMD
      for (std::size_t i = 0; i < n; ++i) part[i] = T(whole[0][i]);
    }
    if (slice) slice += n;
  }
}

/// N threads that take part in the same collectives in the same order.
/// Errors  throws mpx::error when a rank waits past the deadline, when the ranks disagree on the number of elements or on
///         their slices, or when a summand is missing; throws `aborted` in every rank after `abort()`
class group {
 public:
  using clock = std::chrono::steady_clock;

  /// `name` is how errors call this group, for example "tied weights". Each rank brings one summand to all_reduce, or
  /// all of them together bring as many as `summands` says.
  group(std::string name, int ranks, clock::duration deadline, std::size_t summands)
      : name_(std::move(name)),
        parts_(summands),
        counts_(static_cast<std::size_t>(ranks > 0 ? ranks : 0)),
        slices_(counts_.size()),
        brought_(counts_.size()),
        deadline_(deadline) {
    if (ranks <= 0) throw error({"a group without ranks", name_, "at least 1 rank", std::to_string(ranks)});
  }

  group(std::string name, int ranks, clock::duration deadline)
      : group(std::move(name), ranks, deadline, static_cast<std::size_t>(ranks > 0 ? ranks : 0)) {}

  group(group const&) = delete;
  group& operator=(group const&) = delete;

  [[nodiscard]] int size() const noexcept { return static_cast<int>(counts_.size()); }

  /// Returns when every rank has called it.
  void barrier(int rank) {
    std::unique_lock lock(mutex_);
    meet(lock, rank, "barrier");
  }

  /// Every rank's data becomes the sum over all ranks, in rank order, bit for bit the same everywhere.
  /// Shapes  data: [n], on each rank
  template <class T>
  void all_reduce(int rank, T* data, std::size_t n) {
    summand<T> const mine{data, static_cast<std::size_t>(rank)};
    all_reduce(rank, std::span<summand<T> const>(&mine, 1), n);
  }

  /// Every rank's data becomes the largest of each place over all ranks.
  /// Shapes  data: [n], on each rank
  template <class T>
  void all_reduce_max(int rank, T* data, std::size_t n) {
    summand<T> const mine{data, static_cast<std::size_t>(rank)};
    combine<max_of, combine_order::one_by_one, T>(rank, std::span<summand<T> const>(&mine, 1), n);
  }

  /// Every summand becomes the sum over all of them, in the order of their places, bit for bit the same whoever brings
  /// which.
  /// Shapes  data of each: [n]
  template <class T>
  void all_reduce(int rank, std::span<summand<T> const> mine, std::size_t n) {
    combine<sum_of, combine_order::one_by_one, T>(rank, mine, n);
  }

  /// Every rank's data becomes the sum over all ranks, added in pairs, pairs of pairs and so on: so that a rank may itself
  /// stand for several that were added in pairs.
  /// Shapes  data: [n], on each rank
  template <class T>
  void all_reduce_in_pairs(int rank, T* data, std::size_t n) {
    summand<T> const mine{data, static_cast<std::size_t>(rank)};
    combine<sum_of, combine_order::in_pairs, T>(rank, std::span<summand<T> const>(&mine, 1), n);
  }

  /// A rank's slice becomes the sum over all ranks of what stands there, in rank order: the bits that all_reduce gives
  /// these elements. No other element is written.
  /// Shapes  parts: [n], on each rank, n = slices.back(); slices: [ranks + 1], the same on each: rank r's slice begins at
  ///         slices[r] and ends at slices[r + 1]; slice: as many elements, where `parts` has them or apart from it
  template <class T>
  void reduce_scatter(int rank, T* parts, T* slice, std::span<std::size_t const> slices) {
    scatter<combine_order::one_by_one>(rank, parts, slice, slices);
  }

  /// The same, added in pairs, pairs of pairs and so on: the bits that all_reduce_in_pairs gives these elements.
  template <class T>
  void reduce_scatter_in_pairs(int rank, T* parts, T* slice, std::span<std::size_t const> slices) {
    scatter<combine_order::in_pairs>(rank, parts, slice, slices);
  }

  /// Every rank's `whole` becomes all ranks' slices, one after the other.
  /// Shapes  whole: [slices.back()]; slice and slices as in reduce_scatter
  template <class T>
  void all_gather(int rank, T* slice, T* whole, std::span<std::size_t const> slices) {
    share(rank, slice, slices, "all_gather");
    for (std::size_t r = 0; r < counts_.size(); ++r) {
      T const* const from = static_cast<T const*>(places_[r]);
      std::size_t const n = slices[r + 1] - slices[r];
      if (n > 0 && from != whole + slices[r]) std::copy_n(from, n, whole + slices[r]);
    }
    end(rank, "all_gather", (slices[at(rank) + 1] - slices[at(rank)]) * sizeof(T));
  }

  /// Every rank's data becomes that of rank `root`.
  /// Shapes  data: [n], on each rank
  template <class T>
  void broadcast(int rank, int root, T* data, std::size_t n) {
    meet_with(rank, rank == root && n > 0 ? data : nullptr, n, {}, "broadcast");
    for (std::size_t r = 0; r < places_.size(); ++r)
      if ((places_[r] != nullptr) != (r == at(root) && n > 0))
        throw error({"broadcast from different ranks", name_, of_rank(root) + "the data", "others"});
    if (rank != root && n > 0) std::copy_n(static_cast<T const*>(places_[at(root)]), n, data);
    end(rank, "broadcast", rank == root ? n * sizeof(T) : 0);
  }

  /// Bytes that one rank has brought to collectives since construction.
  [[nodiscard]] std::uint64_t bytes_brought(int rank) const { return brought_[at(rank)]; }

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
  static std::size_t at(int rank) { return static_cast<std::size_t>(rank); }

  template <combine_order Order, class T>
  void scatter(int rank, T* parts, T* slice, std::span<std::size_t const> slices) {
    share(rank, parts, slices, "reduce_scatter");
    combine_parts<sum_of, Order, T>(places_.data(), places_.size(), slices[at(rank)], slices[at(rank) + 1], slice);
    end(rank, "reduce_scatter", slices.back() * sizeof(T));
  }

  /// Meets the other ranks over slices.
  void share(int rank, void* data, std::span<std::size_t const> slices, char const* what) {
    if (slices.size() != counts_.size() + 1 || slices.front() != 0 || !std::is_sorted(slices.begin(), slices.end()))
      throw error({std::string(what) + " without a slice for each rank", name_,
                   std::to_string(counts_.size() + 1) + " bounds that begin at 0 and never fall",
                   std::to_string(slices.size()) + " bounds"});
    meet_with(rank, data, slices.back(), slices, what);
  }

  /// Meets the other ranks, each with one buffer: `places_` has them until `end()`.
  void meet_with(int rank, void* data, std::size_t n, std::span<std::size_t const> slices, char const* what) {
    std::unique_lock lock(mutex_);
    places_[at(rank)] = data;
    counts_[at(rank)] = n;
    slices_[at(rank)] = slices;
    meet(lock, rank, what);
    compare_counts(rank, n, what);
    for (auto const& other : slices_)
      if (!std::equal(other.begin(), other.end(), slices.begin(), slices.end()))
        throw error({std::string(what) + " over different slices", name_, "the same bounds on every rank", "others"});
  }
  void end(int rank, char const* what, std::size_t bytes) {
    brought_[at(rank)] += bytes;  // its own rank alone writes it
    std::unique_lock lock(mutex_);
    meet(lock, rank, what);
  }

  /// While the mutex is held, between two meetings.
  void compare_counts(int rank, std::size_t n, char const* what) const {
    for (std::size_t other = 0; other < counts_.size(); ++other) {
      if (counts_[other] != n) {
        throw error({std::string(what) + " over different numbers of elements", name_, of_rank(rank) + std::to_string(n),
                     of_rank(static_cast<int>(other)) + std::to_string(counts_[other])});
      }
    }
  }

  template <class Combine, combine_order Order, class T>
  void combine(int rank, std::span<summand<T> const> mine, std::size_t n) {
    auto const number = static_cast<std::size_t>(rank);
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
      compare_counts(rank, n, "all_reduce");
      for (std::size_t place = 0; place < parts_.size(); ++place)
        if (parts_[place] == nullptr && n > 0)
          throw error({"all_reduce without one of its summands", name_, std::to_string(parts_.size()) + " summands",
                       "none at place " + std::to_string(place)});
    }
    // Each rank sums its own share, a whole number of cache lines, and hands the result to all.
    std::size_t const line = 64 / sizeof(T);
    std::size_t const share = ((n + counts_.size() - 1) / counts_.size() + line - 1) / line * line;
    std::size_t const begin = number * share < n ? number * share : n;
    std::size_t const end = begin + share < n ? begin + share : n;
    combine_parts<Combine, Order, T>(parts_.data(), parts_.size(), begin, end);
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
    bool const in_time =
        all_arrived_.wait_until(lock, clock::now() + deadline_, [&] { return aborted_ || meetings_ != seen; });
    if (meetings_ != seen) return;
    if (aborted_) throw aborted(name_);
    if (!in_time) {
      auto const waited = std::chrono::duration_cast<std::chrono::milliseconds>(deadline_).count();
      std::string there = std::to_string(arrived_--) + " of " + std::to_string(counts_.size()) + ", without rank";
      for (std::size_t r = 0; r < here_.size(); ++r)
        if (!here_[r]) there += ' ' + std::to_string(r);
      throw error({.what = std::string(what) + ": rank " + std::to_string(rank) + " waits past the deadline",
                   .where = name_,
                   .expected = "all ranks within " + std::to_string(waited) + " ms",
                   .got = there});
    }
  }

  std::string const name_;
  std::vector<void*> parts_;         ///< the summands of the collective under way, by place
  std::vector<std::size_t> counts_;  ///< the elements that each rank brings
  std::vector<void*> places_ = std::vector<void*>(counts_.size());  ///< where each rank's are, when it brings one buffer
  std::vector<std::span<std::size_t const>> slices_;  ///< each rank's bounds
  std::vector<std::uint64_t> brought_;  ///< bytes of all collectives, by rank
  clock::duration const deadline_;

  std::mutex mutex_;
  std::condition_variable all_arrived_;
  std::size_t arrived_ = 0;
  std::vector<char> here_ = std::vector<char>(counts_.size());  ///< who of the ranks has arrived
  std::uint64_t meetings_ = 0;
  bool aborted_ = false;
};

}  // namespace mpx::on_host
