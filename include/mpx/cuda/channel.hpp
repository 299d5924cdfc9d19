/// @file
/// One-directional messages between two threads that work on GPUs.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <mpx/core/error.hpp>
#include <mpx/cuda/check.hpp>

namespace mpx::on_cuda {

/// A ring of slots in GPU memory between one sender and one receiver. Both wait asleep, and not for ever. A message is
/// there when the sender's queue has reached it; its slot is free when the receiver's has copied it out.
/// Shapes  storage: [slots, slot_bytes], owned by the caller
/// Errors  throws mpx::error when the deadline passes, when CUDA fails, or when a message is larger than a slot or not of
///         the size that the receiver expects; throws `aborted` in both threads after `abort()`
class channel {
 public:
  channel(std::string name, std::span<std::byte> storage, std::size_t slots, std::chrono::milliseconds deadline)
      : name_(std::move(name)), storage_(storage), sizes_(slots), deadline_(deadline) {
    if (slots == 0) throw error({"a channel without slots", name_, "at least 1 slot", "0"});
    slot_bytes_ = storage.size() / slots;
  }
  channel(channel const&) = delete;
  channel& operator=(channel const&) = delete;

  void send(void const* from, std::size_t bytes) {
    if (bytes > slot_bytes_)
      throw error({"message larger than a slot", name_, "at most " + std::to_string(slot_bytes_) + " bytes", std::to_string(bytes)});
    std::size_t slot = 0;
    {
      std::unique_lock lock(mutex_);
      wait(lock, not_full_, "send waits for a free slot", [&] { return sent_ - received_ < sizes_.size(); });
      slot = sent_ % sizes_.size();
    }
    copy(storage_.data() + slot * slot_bytes_, from, bytes);
    {
      std::scoped_lock const lock(mutex_);
      sizes_[slot] = bytes;
      ++sent_;
      bytes_sent_ += bytes;
    }
    not_empty_.notify_one();
  }

  void receive(void* to, std::size_t bytes) {
    std::size_t slot = 0;
    {
      std::unique_lock lock(mutex_);
      wait(lock, not_empty_, "receive waits for a message", [&] { return sent_ != received_; });
      slot = received_ % sizes_.size();
      if (sizes_[slot] != bytes)
        throw error({"message of another size", name_, std::to_string(bytes) + " bytes", std::to_string(sizes_[slot])});
    }
    copy(to, storage_.data() + slot * slot_bytes_, bytes);
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
    received_ = sent_;
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

  [[nodiscard]] std::uint64_t messages() const {
    std::scoped_lock const lock(mutex_);
    return sent_;
  }
  [[nodiscard]] std::uint64_t bytes_sent() const {
    std::scoped_lock const lock(mutex_);
    return bytes_sent_;
  }

 private:
  /// Both sides may be on different GPUs.
  static void copy(void* to, void const* from, std::size_t bytes) {
    if (bytes > 0) check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, queue()), "copy a message");
    wait_for_queue();
  }

  template <class Ready>
  void wait(std::unique_lock<std::mutex>& lock, std::condition_variable& changed, char const* what, Ready ready) {
    bool const in_time = changed.wait_for(lock, deadline_, [&] { return aborted_ || ready(); });
    if (aborted_) throw aborted(name_);
    if (!in_time)
      throw error({std::string(what) + " past the deadline", name_, "within " + std::to_string(deadline_.count()) + " ms",
                   std::to_string(sent_) + " messages sent, " + std::to_string(received_) + " received"});
  }

  std::string const name_;
  std::span<std::byte> const storage_;
  std::vector<std::size_t> sizes_;  ///< of the message in each slot
  std::chrono::milliseconds const deadline_;
  std::size_t slot_bytes_ = 0;

  mutable std::mutex mutex_;
  std::condition_variable not_empty_, not_full_;
  std::uint64_t sent_ = 0, received_ = 0, bytes_sent_ = 0;
  bool aborted_ = false;
};

}  // namespace mpx::on_cuda
