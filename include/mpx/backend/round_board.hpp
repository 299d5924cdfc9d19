/// @file
/// Where the ranks of one process tell each other, round by round, what they are about to do.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <span>
#include <vector>

namespace mpx {

/// A rank's first words belong to round 0, its next ones to round 1: rounds are the collectives of a group, in the order in
/// which each rank comes to them. Who has said its words may go on with something else before it reads those of the others.
/// Shapes  words of a round: [ranks, words of one rank]
class round_board {
 public:
  using clock = std::chrono::steady_clock;
  using word = std::uint64_t;
  enum class waited { all_came, too_long, aborted };

  round_board(std::size_t ranks, std::size_t words) : words_(words), next_(ranks) {}

  /// Says this rank's words of its next round, and returns the round's number.
  std::uint64_t say(std::size_t rank, std::span<word const> words) {
    std::scoped_lock const lock(mutex_);
    std::uint64_t const number = next_[rank]++;
    while (first_ + rounds_.size() <= number) add_round();
    round& one = at(number);
    std::copy(words.begin(), words.end(), one.words.begin() + static_cast<std::ptrdiff_t>(rank * words_));
    one.came[rank] = 1;
    if (++one.count == next_.size()) changed_.notify_all();
    return number;
  }

  /// Until every rank has said its words of this round. Who has not looked yet when a round was whole still finds it so.
  waited wait(std::uint64_t number, clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    round const& one = at(number);
    bool const in_time = changed_.wait_until(lock, deadline, [&] { return aborted_ || one.count == next_.size(); });
    if (one.count == next_.size()) return waited::all_came;  // an abort behind it comes too late
    return in_time ? waited::aborted : waited::too_long;
  }

  /// What all have said, when all have come, until this rank forgets it.
  [[nodiscard]] word const* words_of(std::uint64_t number) {
    std::scoped_lock const lock(mutex_);
    return at(number).words.data();
  }
  [[nodiscard]] std::vector<char> who_came(std::uint64_t number) {
    std::scoped_lock const lock(mutex_);
    return at(number).came;
  }

  /// This rank has read a round. When all have, its memory serves another one.
  void forget(std::uint64_t number) {
    std::scoped_lock const lock(mutex_);
    ++at(number).read;
    for (; !rounds_.empty() && rounds_.front().read == next_.size(); ++first_) {
      spare_.push_back(std::move(rounds_.front()));
      rounds_.pop_front();
    }
  }

  /// This rank takes its last words back, as long as somebody is missing; false when all have come meanwhile.
  [[nodiscard]] bool withdraw(std::size_t rank, std::uint64_t number) {
    std::scoped_lock const lock(mutex_);
    round& one = at(number);
    if (one.count == next_.size()) return false;
    --one.count;
    one.came[rank] = 0;
    --next_[rank];
    return true;
  }

  [[nodiscard]] bool is_aborted() const { return aborted_; }
  /// Wakes all who wait.
  void abort() {
    {
      std::scoped_lock const lock(mutex_);
      aborted_ = true;
    }
    changed_.notify_all();
  }
  /// Forgets an abort and all rounds. Only while no rank is inside.
  void open() {
    std::scoped_lock const lock(mutex_);
    aborted_ = false;
    first_ = 0;
    rounds_.clear();
    std::fill(next_.begin(), next_.end(), std::uint64_t{0});
  }

 private:
  struct round {
    std::vector<word> words;
    std::vector<char> came;  ///< who has said its words
    std::size_t count = 0, read = 0;
  };

  round& at(std::uint64_t number) { return rounds_[static_cast<std::size_t>(number - first_)]; }
  void add_round() {
    if (spare_.empty()) {
      rounds_.push_back({std::vector<word>(next_.size() * words_), std::vector<char>(next_.size())});
      return;
    }
    rounds_.push_back(std::move(spare_.back()));
    spare_.pop_back();
    std::fill(rounds_.back().came.begin(), rounds_.back().came.end(), char{0});
    rounds_.back().count = rounds_.back().read = 0;
  }

  std::size_t const words_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::uint64_t> next_;  ///< the round of each rank's next words
  std::uint64_t first_ = 0;          ///< the oldest round that somebody has not read
  std::deque<round> rounds_;
  std::vector<round> spare_;
  std::atomic<bool> aborted_ = false;  ///< written under the mutex, and looked at without it
};

}  // namespace mpx
