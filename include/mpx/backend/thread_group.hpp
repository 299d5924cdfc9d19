/// @file
/// Threads of one process that meet at a barrier, combine their buffers, and give each other slices of them.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <mpx/backend/operations.hpp>
#include <mpx/core/error.hpp>

namespace mpx {

/// N threads that take part in the same collectives in the same order, over buffers in a `Memory`:
///   finish()                                       what this thread has begun to do with its buffers is done
///   combine<T>(how, parts, count, begin, end, slice)  elements begin to end of the parts combined, written to every part, or
///                                                  to `slice` alone where there is one
///   copy<T>(to, from, n)
///   most_parts                                     that combine takes
/// Errors  throws mpx::error when a rank waits past the deadline, when the ranks disagree on the number of elements or on
///         their slices, when a summand is missing, or when there are more parts than the memory combines; throws `aborted`
///         in every rank after `abort()`
template <class Memory>
class thread_group {
 public:
  using clock = std::chrono::steady_clock;
  using memory = Memory;

  /// `name` is how errors call this group, for example "tied weights". Each rank brings one summand to all_reduce, or
  /// all of them together bring as many as `summands` says. `where`: what is done in the memory of their buffers.
  thread_group(std::string name, int ranks, clock::duration deadline, std::size_t summands, Memory where = {})
      : name_(std::move(name)),
        parts_(summands),
        counts_(static_cast<std::size_t>(ranks > 0 ? ranks : 0)),
        slices_(counts_.size()),
        brought_(counts_.size()),
        deadline_(deadline),
        memory_(where) {
    if (ranks <= 0) throw error({"a group without ranks", name_, "at least 1 rank", std::to_string(ranks)});
    std::size_t const parts = std::max(summands, counts_.size());
    if (parts > Memory::most_parts)
      throw error({"a group with too many parts", name_, "at most " + std::to_string(Memory::most_parts), std::to_string(parts)});
  }

  thread_group(std::string name, int ranks, clock::duration deadline, Memory where = {})
      : thread_group(std::move(name), ranks, deadline, static_cast<std::size_t>(ranks > 0 ? ranks : 0), where) {}

  thread_group(thread_group const&) = delete;
  thread_group& operator=(thread_group const&) = delete;

  [[nodiscard]] int size() const noexcept { return static_cast<int>(counts_.size()); }

  /// Returns when every rank has called it. What they wrote to the host's memory is then seen by all.
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
    combine(combining::largest, rank, std::span<summand<T> const>(&mine, 1), n);
  }

  /// Every summand becomes the sum over all of them, in the order of their places, bit for bit the same whoever brings
  /// which.
  /// Shapes  data of each: [n]
  template <class T>
  void all_reduce(int rank, std::span<summand<T> const> mine, std::size_t n) {
    combine(combining::sum, rank, mine, n);
  }

  /// Every rank's data becomes the sum over all ranks, added in pairs, pairs of pairs and so on: so that a rank may itself
  /// stand for several that were added in pairs.
  /// Shapes  data: [n], on each rank
  template <class T>
  void all_reduce_in_pairs(int rank, T* data, std::size_t n) {
    summand<T> const mine{data, static_cast<std::size_t>(rank)};
    combine(combining::sum_in_pairs, rank, std::span<summand<T> const>(&mine, 1), n);
  }

  /// A rank's slice becomes the sum over all ranks of what stands there, in rank order: the bits that all_reduce gives
  /// these elements. No other element is written.
  /// Shapes  parts: [n], on each rank, n = slices.back(); slices: [ranks + 1], the same on each: rank r's slice begins at
  ///         slices[r] and ends at slices[r + 1]; slice: as many elements, where `parts` has them or apart from it
  template <class T>
  void reduce_scatter(int rank, T* parts, T* slice, std::span<std::size_t const> slices) {
    scatter(combining::sum, rank, parts, slice, slices);
  }

  /// The same, added in pairs, pairs of pairs and so on: the bits that all_reduce_in_pairs gives these elements.
  template <class T>
  void reduce_scatter_in_pairs(int rank, T* parts, T* slice, std::span<std::size_t const> slices) {
    scatter(combining::sum_in_pairs, rank, parts, slice, slices);
  }

  /// Every rank's `whole` becomes all ranks' slices, one after the other.
  /// Shapes  whole: [slices.back()]; slice and slices as in reduce_scatter
  template <class T>
  void all_gather(int rank, T* slice, T* whole, std::span<std::size_t const> slices) {
    share(rank, slice, slices, "all_gather");
    for (std::size_t r = 0; r < counts_.size(); ++r) {
      T const* const from = static_cast<T const*>(places_[r]);
      std::size_t const n = slices[r + 1] - slices[r];
      if (n > 0 && from != whole + slices[r]) memory_.copy(whole + slices[r], from, n);
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
    if (rank != root && n > 0) memory_.copy(data, static_cast<T const*>(places_[at(root)]), n);
    end(rank, "broadcast", rank == root ? n * sizeof(T) : 0);
  }

  // A sum in three parts, so that a rank goes on with other work while the others are not there yet. Several may be under
  // way at once, each under a number; a rank ends them all before it begins one with the same number again.
  /// Brings this rank's part, and returns as soon as that is written: no other rank is waited for. From then on the part belongs to the group until end_sum.
  /// Shapes  data: [n], on each rank; slices: [ranks + 1] as in reduce_scatter, kept until end_sum; or empty: all_reduce
  template <class T>
  void begin_sum(int rank, std::size_t number, T* data, std::size_t n, std::span<std::size_t const> slices, sum_order order) {
    if (!slices.empty()) check_slices(slices, "sum");
    memory_.finish();
    std::unique_lock lock(mutex_);
    while (sums_.size() <= number) sums_.emplace_back(counts_.size());
    sum_under_way& sum = sums_[number];
    wait(lock, rank, "sum", [&] { return !sum.begun[at(rank)]; }, sum.ended);
    sum.parts[at(rank)] = data;
    sum.counts[at(rank)] = n;
    sum.slices[at(rank)] = slices;
    sum.order = order;
    sum.begun[at(rank)] = 1;
    brought_[at(rank)] += n * sizeof(T);
    if (all(sum.begun)) all_arrived_.notify_all();
  }

  /// Waits for all parts, and adds up this rank's share of them: with slices, that is its slice, whole from here on.
  template <class T>
  void take_sum(int rank, std::size_t number) {
    std::unique_lock lock(mutex_);
    sum_under_way& sum = sums_.at(number);
    wait(lock, rank, "sum", [&] { return all(sum.begun); }, sum.begun);
    std::size_t const n = sum.counts[at(rank)];
    compare_counts(rank, n, sum.counts, "sum");
    compare_slices(sum.slices[at(rank)], sum.slices, "sum");
    lock.unlock();
    auto const slices = sum.slices[at(rank)];
    std::size_t const share = share_of<T>(n);
    std::size_t const begin = slices.empty() ? std::min(at(rank) * share, n) : slices[at(rank)];
    std::size_t const end = slices.empty() ? std::min(begin + share, n) : slices[at(rank) + 1];
    T* const own = slices.empty() ? nullptr : static_cast<T*>(sum.parts[at(rank)]) + begin;
    auto const how = sum.order == sum_order::in_pairs ? combining::sum_in_pairs : combining::sum;
    memory_.template combine<T>(how, sum.parts.data(), counts_.size(), begin, end, own);
    memory_.finish();
    lock.lock();
    sum.taken[at(rank)] = 1;
    if (all(sum.taken)) all_arrived_.notify_all();
  }

  /// Waits until every rank has taken its share: the data is this rank's again, and without slices it is the whole sum.
  void end_sum(int rank, std::size_t number) {
    std::unique_lock lock(mutex_);
    sum_under_way& sum = sums_.at(number);
    wait(lock, rank, "sum", [&] { return all(sum.taken); }, sum.taken);
    sum.ended[at(rank)] = 1;
    if (!all(sum.ended)) return;
    sum.clear();
    all_arrived_.notify_all();
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
    for (auto& sum : sums_) sum.clear();
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
  /// What the ranks have brought to a sum in three parts, and how far each of them is.
  struct sum_under_way {
    explicit sum_under_way(std::size_t ranks)
        : parts(ranks), counts(ranks), slices(ranks), begun(ranks), taken(ranks), ended(ranks) {}
    void clear() {
      for (auto* flags : {&begun, &taken, &ended}) std::fill(flags->begin(), flags->end(), char{0});
    }
    std::vector<void*> parts;
    std::vector<std::size_t> counts;
    std::vector<std::span<std::size_t const>> slices;
    std::vector<char> begun, taken, ended;
    sum_order order = sum_order::one_by_one;
  };

  static std::size_t at(int rank) { return static_cast<std::size_t>(rank); }
  static bool all(std::vector<char> const& flags) { return std::find(flags.begin(), flags.end(), char{0}) == flags.end(); }

  template <class T>
  void scatter(combining how, int rank, T* parts, T* slice, std::span<std::size_t const> slices) {
    share(rank, parts, slices, "reduce_scatter");
    memory_.template combine<T>(how, places_.data(), places_.size(), slices[at(rank)], slices[at(rank) + 1], slice);
    end(rank, "reduce_scatter", slices.back() * sizeof(T));
  }

  /// Meets the other ranks over slices.
  void share(int rank, void* data, std::span<std::size_t const> slices, char const* what) {
    check_slices(slices, what);
    meet_with(rank, data, slices.back(), slices, what);
  }
  void check_slices(std::span<std::size_t const> slices, char const* what) const {
    if (slices.size() != counts_.size() + 1 || slices.front() != 0 || !std::is_sorted(slices.begin(), slices.end()))
      throw error({std::string(what) + " without a slice for each rank", name_,
                   std::to_string(counts_.size() + 1) + " bounds that begin at 0 and never fall",
                   std::to_string(slices.size()) + " bounds"});
  }

  /// Meets the other ranks, each with one buffer: `places_` has them until `end()`.
  void meet_with(int rank, void* data, std::size_t n, std::span<std::size_t const> slices, char const* what) {
    memory_.finish();
    std::unique_lock lock(mutex_);
    places_[at(rank)] = data;
    counts_[at(rank)] = n;
    slices_[at(rank)] = slices;
    meet(lock, rank, what);
    compare_counts(rank, n, counts_, what);
    compare_slices(slices, slices_, what);
  }
  void end(int rank, char const* what, std::size_t bytes) {
    memory_.finish();
    brought_[at(rank)] += bytes;  // its own rank alone writes it
    std::unique_lock lock(mutex_);
    meet(lock, rank, what);
  }

  // While the mutex is held, when all ranks are there.
  void compare_counts(int rank, std::size_t n, std::vector<std::size_t> const& all, char const* what) const {
    for (std::size_t other = 0; other < all.size(); ++other) {
      if (all[other] != n) {
        throw error({std::string(what) + " over different numbers of elements", name_, of_rank(rank) + std::to_string(n),
                     of_rank(static_cast<int>(other)) + std::to_string(all[other])});
      }
    }
  }
  void compare_slices(std::span<std::size_t const> slices, std::vector<std::span<std::size_t const>> const& all,
                      char const* what) const {
    for (auto const& other : all)
      if (!std::equal(other.begin(), other.end(), slices.begin(), slices.end()))
        throw error({std::string(what) + " over different slices", name_, "the same bounds on every rank", "others"});
  }

  /// Each rank sums its own share, a whole number of cache lines, and hands the result to all.
  template <class T>
  [[nodiscard]] std::size_t share_of(std::size_t n) const {
    std::size_t const line = 64 / sizeof(T);
    return ((n + counts_.size() - 1) / counts_.size() + line - 1) / line * line;
  }

  template <class T>
  void combine(combining how, int rank, std::span<summand<T> const> mine, std::size_t n) {
    auto const number = static_cast<std::size_t>(rank);
    bool const alone = counts_.size() == 1;  // what it brings and takes stands in the order of its own work
    if (!alone) memory_.finish();            // the others read what this rank has written
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
      compare_counts(rank, n, counts_, "all_reduce");
      for (std::size_t place = 0; place < parts_.size(); ++place)
        if (parts_[place] == nullptr && n > 0)
          throw error({"all_reduce without one of its summands", name_, std::to_string(parts_.size()) + " summands",
                       "none at place " + std::to_string(place)});
    }
    std::size_t const share = share_of<T>(n);
    std::size_t const begin = std::min(number * share, n), end = std::min(begin + share, n);
    memory_.template combine<T>(how, parts_.data(), parts_.size(), begin, end, nullptr);
    if (!alone) memory_.finish();
    brought_[number] += mine.size() * n * sizeof(T);  // its own rank alone writes it
    std::unique_lock lock(mutex_);
    meet(lock, rank, "all_reduce");
    for (auto const& one : mine) parts_[one.place] = nullptr;
  }

  static std::string of_rank(int rank) { return "rank " + std::to_string(rank) + " with "; }

  void meet(std::unique_lock<std::mutex>& lock, int rank, char const* what) {
    if (aborted_) throw aborted(name_);
    here_[at(rank)] = 1;
    if (++arrived_ == counts_.size()) {
      arrived_ = 0;
      std::fill(here_.begin(), here_.end(), char{0});
      ++meetings_;
      all_arrived_.notify_all();
      return;
    }
    auto const seen = meetings_;
    wait(lock, rank, what, [&] { return meetings_ != seen; }, here_, [&] { --arrived_; });
  }

  /// Until `done()`. `there`: which ranks have done what this one waits for; `give_up` is called when they take too long.
  template <class Done, class GiveUp = void (*)()>
  void wait(std::unique_lock<std::mutex>& lock, int rank, char const* what, Done done, std::vector<char> const& there,
            GiveUp give_up = [] {}) {
    if (aborted_) throw aborted(name_);
    bool const in_time = all_arrived_.wait_until(lock, clock::now() + deadline_, [&] { return aborted_ || done(); });
    if (done()) return;
    if (aborted_) throw aborted(name_);
    if (!in_time) {
      auto const waited = std::chrono::duration_cast<std::chrono::milliseconds>(deadline_).count();
      std::string missing;
      std::size_t come = 0;
      for (std::size_t r = 0; r < there.size(); ++r)
        if (there[r]) ++come;
        else missing += ' ' + std::to_string(r);
      give_up();
      throw error({.what = std::string(what) + ": rank " + std::to_string(rank) + " waits past the deadline",
                   .where = name_,
                   .expected = "all ranks within " + std::to_string(waited) + " ms",
                   .got = std::to_string(come) + " of " + std::to_string(there.size()) + ", without rank" + missing});
    }
  }

  std::string const name_;
  std::vector<void*> parts_;         ///< the summands of the collective under way, by place
  std::vector<std::size_t> counts_;  ///< the elements that each rank brings
  std::vector<void*> places_ = std::vector<void*>(counts_.size());  ///< where each rank's are, when it brings one buffer
  std::vector<std::span<std::size_t const>> slices_;  ///< each rank's bounds
  std::deque<sum_under_way> sums_;       ///< by number; grows when a number is new
  std::vector<std::uint64_t> brought_;  ///< bytes of all collectives, by rank
  clock::duration const deadline_;
  Memory const memory_;

  std::mutex mutex_;
  std::condition_variable all_arrived_;
  std::size_t arrived_ = 0;
  std::vector<char> here_ = std::vector<char>(counts_.size());  ///< who of the ranks has arrived
  std::uint64_t meetings_ = 0;
  bool aborted_ = false;
};

}  // namespace mpx
