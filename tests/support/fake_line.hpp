// A network in one process's memory: each end carries out its exchanges in their order, on a thread of its own and with
// pauses, as a library does in a queue of the GPU.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <mpx/backend/exchange_group.hpp>
#include <mpx/core/random.hpp>
#include <mpx/host/group.hpp>

namespace test {

/// Messages between every two ends, in order. A message lies where its sender has it until its receiver copies it.
class fake_wire {
 public:
  struct message {
    void const* from;
    std::size_t bytes;
    bool taken = false;
  };
  using box = std::deque<std::shared_ptr<message>>;

  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::pair<int, int>, box> boxes;  ///< [from, to]
  int ends = 0, left = 0;
  std::size_t bytes_carried = 0;
};

/// See mpx::exchange_group. A message of another size than its receiver expects is never taken: an exchange of such ends
/// with nobody, as NCCL's may.
class fake_line {
 public:
  static constexpr std::size_t most_parts = 64;
  static inline std::atomic<bool> network_is_down = false;  ///< what done() finds
  static inline std::atomic<std::size_t> bytes_of_all = 0;

  struct address {
    std::shared_ptr<fake_wire> wire;
    static address make() { return {std::make_shared<fake_wire>()}; }
  };

  fake_line(address const& where, int rank, int ranks) : wire_(where.wire), rank_(rank), ranks_(ranks) {
    {
      std::scoped_lock const lock(wire_->mutex);
      ++wire_->ends;
    }
    worker_ = std::thread([this] { work(); });
  }
  fake_line(fake_line const&) = delete;
  fake_line& operator=(fake_line const&) = delete;
  ~fake_line() {
    if (left_) {  // for the others, as NCCL may: not for ever, since processes come and go
      std::unique_lock lock(wire_->mutex);
      wire_->changed.wait_for(lock, std::chrono::milliseconds(100), [&] { return wire_->left >= wire_->ends || stop_; });
    }
    abort();
  }

  void leave() noexcept {
    std::scoped_lock const lock(wire_->mutex);
    if (stop_ || carried_ < asked_ || std::exchange(left_, true)) return;
    ++wire_->left;
    wire_->changed.notify_all();
  }

  bool connected() {
    std::scoped_lock const lock(wire_->mutex);
    return wire_->ends >= ranks_;
  }

  void begin() { next_ = {}; }
  void send(int to, void const* from, std::size_t bytes) { next_.sends.push_back({to, const_cast<void*>(from), bytes}); }
  void receive(int from, void* to, std::size_t bytes) { next_.receives.push_back({from, to, bytes}); }
  void broadcast(int root, void* data, std::size_t bytes) {
    if (root != rank_) return receive(root, data, bytes);
    for (int r = 0; r < ranks_; ++r)
      if (r != rank_) send(r, data, bytes);
  }
  void end() {
    std::scoped_lock const lock(wire_->mutex);
    queue_.push_back(std::move(next_));
    ++asked_;
    looks_ = 0;
    wire_->changed.notify_all();
  }
  bool accepted() { return ++looks_ > 2; }  // not at once
  std::uint64_t mark() {
    std::scoped_lock const lock(wire_->mutex);
    return asked_;
  }
  bool done(std::uint64_t mark) {
    if (network_is_down) throw mpx::error({"the network is down", "fake", {}, {}});
    std::scoped_lock const lock(wire_->mutex);
    return carried_ >= mark;
  }

  template <class T>
  void combine(mpx::combining how, void* const* parts, std::size_t count, std::size_t n, T* slice) {
    mpx::on_host::group_memory::combine<T>(how, parts, count, 0, n, slice);
  }
  void copy(void* to, void const* from, std::size_t bytes) { std::memcpy(to, from, bytes); }

  std::byte* scratch(std::size_t number, std::size_t bytes) {
    while (scratch_.size() <= number) scratch_.emplace_back();
    if (scratch_[number].size() < bytes) scratch_[number].assign(bytes, std::byte{0xff});  // NaN, whatever the type
    return scratch_[number].data();
  }
  std::uint64_t* words(std::size_t count) { return words_.emplace_back(count).data(); }

  void abort() {
    {
      std::scoped_lock const lock(wire_->mutex);
      stop_ = true;
      wire_->changed.notify_all();
    }
    if (worker_.joinable()) worker_.join();
  }

 private:
  struct transfer {
    int other;
    void* data;
    std::size_t bytes;
  };
  struct exchange {
    std::vector<transfer> sends, receives;
  };

  void work() {
    std::unique_lock lock(wire_->mutex);
    for (;;) {
      wire_->changed.wait(lock, [&] { return stop_ || !queue_.empty(); });
      if (stop_) return;
      exchange const one = std::move(queue_.front());
      queue_.pop_front();
      pause(lock);
      std::vector<std::shared_ptr<fake_wire::message>> sent;
      for (auto const& t : one.sends) {
        sent.push_back(std::make_shared<fake_wire::message>(fake_wire::message{t.data, t.bytes}));
        wire_->boxes[{rank_, t.other}].push_back(sent.back());
        wire_->changed.notify_all();
      }
      std::vector<char> got(one.receives.size());
      // Whichever comes first is taken first.
      for (std::size_t missing = got.size(); missing > 0 && !stop_;) {
        bool moved = false;
        for (std::size_t i = 0; i < got.size(); ++i)
          if (!got[i] && first_of_its_rank(one.receives, got, i) && take(one.receives[i])) got[i] = moved = true, --missing;
        if (moved) pause(lock);
        else wire_->changed.wait(lock);
      }
      wire_->changed.wait(lock,
                          [&] { return stop_ || std::all_of(sent.begin(), sent.end(), [](auto const& m) { return m->taken; }); });
      if (stop_) {
        for (auto const& m : sent) m->from = nullptr;  // nobody reads what is not this rank's any more
        return;
      }
      ++carried_;
    }
  }
  static bool first_of_its_rank(std::vector<transfer> const& all, std::vector<char> const& got, std::size_t i) {
    for (std::size_t j = 0; j < i; ++j)
      if (!got[j] && all[j].other == all[i].other) return false;
    return true;
  }
  bool take(transfer const& t) {
    auto& box = wire_->boxes[{t.other, rank_}];
    if (box.empty() || box.front()->from == nullptr || box.front()->bytes != t.bytes) return false;
    std::memcpy(t.data, box.front()->from, t.bytes);
    box.front()->taken = true;
    box.pop_front();
    bytes_of_all += t.bytes;
    wire_->changed.notify_all();
    return true;
  }
  /// Another one each time: none, or up to 300 us.
  void pause(std::unique_lock<std::mutex>& lock) {
    auto const drawn = mpx::philox({pauses_++, static_cast<std::uint32_t>(rank_), 0, 0}, 11)[0];
    if (drawn % 3 != 0) return;
    lock.unlock();
    std::this_thread::sleep_for(std::chrono::microseconds(drawn / 3 % 300));
    lock.lock();
  }

  std::shared_ptr<fake_wire> const wire_;
  int const rank_, ranks_;
  exchange next_;
  unsigned looks_ = 0;
  std::deque<std::vector<std::byte>> scratch_;
  std::deque<std::vector<std::uint64_t>> words_;
  // Under the wire's mutex.
  std::deque<exchange> queue_;
  std::uint64_t asked_ = 0, carried_ = 0;
  std::uint32_t pauses_ = 0;
  bool stop_ = false, left_ = false;
  std::thread worker_;
};

}  // namespace test
