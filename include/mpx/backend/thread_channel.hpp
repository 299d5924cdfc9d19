/// @file
/// One-directional messages between two threads of one process.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <mpx/core/error.hpp>

namespace mpx {

/// A ring of slots in a `Memory`, between one sender and one receiver. Who waits looks again for a few microseconds, which
/// falling asleep and being woken take too, lending its core to others meanwhile; then it sleeps, and not for ever.
///   copy(to, from, n)  of bytes, between any two places of the memory
///   finish()           what this thread has begun to copy, or to write before, is done
/// Both ends may be given a Memory of their own: how their thread copies.
/// Shapes  storage: [slots, slot_bytes], owned by the caller
/// Errors  throws mpx::error when the deadline passes, or when a message is larger than a slot or not of the size that
///         the receiver expects; throws `aborted` in both threads after `abort()`
template <class Memory>
class thread_channel {
 public:
  using clock = std::chrono::steady_clock;
  using memory = Memory;

  /// `name` is how errors call this channel, for example "stage 0 -> stage 1".
  thread_channel(std::string name, std::span<std::byte> storage, std::size_t slots, clock::duration deadline,
                 Memory sender = {}, Memory receiver = {})
      : name_(std::move(name)),
        storage_(storage),
        slot_bytes_(slots == 0 ? 0 : storage.size() / slots),
        sizes_(slots),
        deadline_(deadline),
        sender_(sender),
        receiver_(receiver) {
    if (slots == 0) throw error({"a channel without slots", name_, "at least 1 slot", "0"});
  }

  thread_channel(thread_channel const&) = delete;
  thread_channel& operator=(thread_channel const&) = delete;

  /// Copies a message into the next free slot; waits while all slots are full.
  void send(void const* from, std::size_t bytes) {
    if (bytes > slot_bytes_) {
      throw error({"message larger than a slot", name_, at_most(slot_bytes_), std::to_string(bytes)});
    }
    std::size_t slot = 0;
    auto const is_free = [&] { return sent_ - received_ < sizes_.size(); };
    look_for(is_free);
    {
      std::unique_lock lock(mutex_);
      wait(lock, not_full_, "send waits for a free slot", is_free);
      slot = sent_ % sizes_.size();
    }
    // Only the sender touches a free slot, only the receiver a full one: the copy needs no lock.
    copy(sender_, storage_.data() + slot * slot_bytes_, from, bytes);
    {
      std::scoped_lock const lock(mutex_);
      sizes_[slot] = bytes;
      ++sent_;
      bytes_sent_ += bytes;
    }
    not_empty_.notify_one();
  }

  /// Copies the oldest message out; waits while there is none.
  void receive(void* to, std::size_t bytes) {
    std::size_t slot = 0;
    auto const is_there = [&] { return sent_ != received_; };
    look_for(is_there);
    {
      std::unique_lock lock(mutex_);
      wait(lock, not_empty_, "receive waits for a message", is_there);
      slot = received_ % sizes_.size();
      if (sizes_[slot] != bytes) {
        throw error({"message of another size", name_, std::to_string(bytes) + " bytes", std::to_string(sizes_[slot])});
      }
    }
    copy(receiver_, to, storage_.data() + slot * slot_bytes_, bytes);
    {
      std::scoped_lock const lock(mutex_);
      ++received_;
    }
    not_full_.notify_one();
  }

  /// Empties the ring and forgets an abort. Only while neither thread is inside.
  void open() {
    std::scoped_lock const lock(mutex_);
    aborted_ = false;
    received_ = sent_.load();
  }

  /// Wakes both threads; each throws `aborted`, now and in every later call until `open()`.
  void abort() {
    {
      std::scoped_lock const lock(mutex_);
      aborted_ = true;
    }
    not_empty_.notify_all();
    not_full_.notify_all();
  }

  /// Messages and bytes sent since construction.
  [[nodiscard]] std::uint64_t messages() const {
    std::scoped_lock const lock(mutex_);
    return sent_;
  }
  [[nodiscard]] std::uint64_t bytes_sent() const {
    std::scoped_lock const lock(mutex_);
    return bytes_sent_;
  }

 private:
  static void copy(Memory const& by, void* to, void const* from, std::size_t bytes) {
    if (bytes > 0) by.copy(static_cast<std::byte*>(to), static_cast<std::byte const*>(from), bytes);
    by.finish();
  }

  static std::string at_most(std::size_t bytes) { return "at most " + std::to_string(bytes) + " bytes"; }

  /// Gives a message or a slot that is about to come the time that a sleep would take.
  template <class Ready>
  void look_for(Ready ready) {
    if (ready()) return;
    auto const until = clock::now() + std::chrono::microseconds(5);
    while (!ready() && !aborted_ && clock::now() < until) std::this_thread::yield();
  }

  template <class Ready>
  void wait(std::unique_lock<std::mutex>& lock, std::condition_variable& changed, char const* what, Ready ready) {
    bool const in_time = changed.wait_until(lock, clock::now() + deadline_, [&] { return aborted_ || ready(); });
    if (aborted_) throw aborted(name_);
    if (!in_time) {
      auto const waited = std::chrono::duration_cast<std::chrono::milliseconds>(deadline_).count();
      throw error({.what = std::string(what) + " past the deadline",
                   .where = name_,
                   .expected = "within " + std::to_string(waited) + " ms",
                   .got = std::to_string(sent_) + " messages sent, " + std::to_string(received_) + " received"});
    }
  }

  std::string const name_;
  std::span<std::byte> const storage_;
  std::size_t const slot_bytes_;
  std::vector<std::size_t> sizes_;  ///< of the message in each slot
  clock::duration const deadline_;
  Memory const sender_, receiver_;

  mutable std::mutex mutex_;
  std::condition_variable not_empty_;
  std::condition_variable not_full_;
  // Written under the mutex, and looked at without it.
  std::atomic<std::uint64_t> sent_ = 0;
  std::atomic<std::uint64_t> received_ = 0;
  std::atomic<bool> aborted_ = false;
  std::uint64_t bytes_sent_ = 0;
};

}  // namespace mpx
