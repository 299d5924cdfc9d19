/// @file
/// Ranks with an end of a network each: what they say before a collective, exchanges of bytes, and waiting that ends.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <mpx/backend/call_words.hpp>
#include <mpx/backend/round_board.hpp>
#include <mpx/core/error.hpp>

namespace mpx {

/// Of an exchange: no message where there is nothing to send.
template <class Line, class T>
void send_elements(Line& line, std::size_t to, T const* from, std::size_t n) {
  if (n > 0) line.send(static_cast<int>(to), from, n * sizeof(T));
}
template <class Line, class T>
void receive_elements(Line& line, std::size_t from, T* to, std::size_t n) {
  if (n > 0) line.receive(static_cast<int>(from), to, n * sizeof(T));
}

/// The ranks of an exchange_group. Threads of one process say their words on a board in its memory; processes let the
/// network carry them. `Work`: what else belongs to a rank, with a clear().
/// Errors  throws mpx::error when a rank waits past the deadline, when the network fails, or when ranks do not agree; throws
///         `aborted` after abort(), and where this rank's line has been given up
template <class Line, class Work>
class rank_lines {
 public:
  using clock = std::chrono::steady_clock;
  using address = typename Line::address;
  using word = round_board::word;
  static constexpr int no_rank = -1;

  /// Words of all ranks that the network carries, where there is no board.
  struct carried_round {
    word* words;
    std::uint64_t number, mark;
  };

  /// What belongs to one rank, and to its thread.
  struct lane : Work {
    lane(std::size_t r, std::size_t ranks, std::size_t summands) : rank(r), said(ranks, summands) {}
    void clear() {
      Work::clear();
      line.reset();
      given_up = false;
      carried.clear();
      spare.clear();
      next_round = 0;
    }
    std::size_t const rank;
    call_words said;
    std::unique_ptr<Line> line;  ///< connected at the first exchange
    bool given_up = false;       ///< the line is aborted
    bool heard = false;          ///< the last words waited for have come, whatever they say
    std::deque<carried_round> carried;
    std::vector<word*> spare;
    std::uint64_t next_round = 0;
  };

  /// `here`: this process's rank, or no_rank where all are threads of it.
  rank_lines(std::string name, int ranks, clock::duration deadline, std::size_t summands, std::optional<address> where, int here)
      : name_(std::move(name)),
        ranks_(static_cast<std::size_t>(ranks > 0 ? ranks : 0)),
        deadline_(deadline),
        here_(here),
        address_(std::move(where)),
        connecting_(ranks_),
        board_(ranks_, call_words(ranks_, summands).size()) {
    if (ranks <= 0) throw error({"a group without ranks", name_, "at least 1 rank", std::to_string(ranks)});
    if (here < no_rank || here >= ranks)
      throw error({"no such rank", name_, "0 to " + std::to_string(ranks - 1), std::to_string(here)});
    std::size_t const parts = std::max(summands, ranks_);
    if (parts > Line::most_parts)
      throw error({"a group with too many parts", name_, "at most " + std::to_string(Line::most_parts), std::to_string(parts)});
    for (std::size_t r = 0; r < ranks_; ++r) lanes_.emplace_back(r, ranks_, summands);
  }

  rank_lines(rank_lines const&) = delete;
  rank_lines& operator=(rank_lines const&) = delete;
  ~rank_lines() {
    bool const at_rest =
        !board_.is_aborted() && std::none_of(lanes_.begin(), lanes_.end(), [](auto const& own) { return own.given_up; });
    for (auto& own : lanes_) {  // all before the first one's end, which may wait for them
      if (own.line == nullptr) continue;
      if (at_rest) own.line->leave();
      else own.line->abort();
    }
  }

  [[nodiscard]] std::size_t count() const noexcept { return ranks_; }
  [[nodiscard]] std::string const& name() const noexcept { return name_; }

  /// A rank that begins a collective.
  [[nodiscard]] lane& open_lane(int rank) {
    if (here_ != no_rank && rank != here_)
      throw error({"a rank of another process", name_, "rank " + std::to_string(here_), "rank " + std::to_string(rank)});
    lane& own = lanes_[static_cast<std::size_t>(rank)];
    if (board_.is_aborted() || own.given_up) {
      give_up(own);
      throw aborted(name_);
    }
    return own;
  }
  [[nodiscard]] lane const& lane_of(int rank) const { return lanes_[static_cast<std::size_t>(rank)]; }

  /// All ranks connect anew. Only while no rank is inside.
  /// Errors  throws mpx::error where the ranks are processes and one of them has given up
  void open() {
    if (here_ != no_rank) {
      if (board_.is_aborted() || lane_of(here_).given_up)
        throw error({"a group of processes is over", name_, "a new group with a new address", "open()"});
      return;
    }
    board_.open();
    for (auto& own : lanes_) give_up(own);  // all before the first one's end, which may wait for them
    for (auto& own : lanes_) own.clear();
    address_.reset();
    std::fill(connecting_.begin(), connecting_.end(), char{0});
  }
  void abort() { board_.abort(); }

  // --- exchanges -----------------------------------------------------------------------------------------------------
  template <class F>
  void each_other(lane const& own, F f) const {
    for (std::size_t r = 0; r < ranks_; ++r)
      if (r != own.rank) f(r);
  }
  /// Queues an exchange; returns the mark behind it.
  template <class F>
  std::uint64_t exchange(lane& own, char const* what, F calls) {
    connect(own, 1);
    tried(own, what, [&](Line& line) {
      line.begin();
      calls(line);
      line.end();
    });
    until(own, what, [](Line& line) { return line.accepted(); }, [] { return std::string("an exchange that does not begin"); });
    return tried(own, what, [](Line& line) { return line.mark(); });
  }
  void finish(lane& own, std::uint64_t mark, char const* what) {
    until(own, what, [&](Line& line) { return line.done(mark); }, [] { return std::string("an exchange that does not end"); });
  }
  template <class F>
  void exchange_and_wait(lane& own, char const* what, F calls) {
    finish(own, exchange(own, what, calls), what);
  }

  void give_up(lane& own) noexcept {
    own.given_up = true;
    if (own.line != nullptr) own.line->abort();
  }

  /// At the first collective over elements. An exchange of one word with each other rank makes sure that a later one waits
  /// for nobody.
  void connect(lane& own, std::size_t n) {
    if (own.line != nullptr || n == 0) return;
    char const* const what = "connect";
    auto const missing = [&]() -> std::string {
      std::scoped_lock const lock(connecting_mutex_);
      return here_ == no_rank ? missing_of(connecting_) : "not all of " + std::to_string(ranks_);
    };
    try {
      own.line = std::make_unique<Line>(address_of(own.rank), static_cast<int>(own.rank), static_cast<int>(ranks_));
    } catch (error const& e) {
      own.given_up = true;
      throw cannot_reach(own, what, e);
    }
    until(own, what, [](Line& line) { return line.connected(); }, missing);
    if (ranks_ == 1) return;
    word* const words = tried(own, what, [&](Line& line) { return line.words(ranks_); });
    words[own.rank] = own.rank;
    carry(own, what, words, 1, missing);
  }

  // --- what ranks say before they exchange ----------------------------------------------------------------------------
  void agree(lane& own, call const& c) { hear(own, say(own, c), name_of(c.kind), true); }

  std::uint64_t say(lane& own, call const& c) {
    own.said.say(c);
    return say(own);
  }
  /// Returns the round: of the board, or of the network where ranks are processes.
  std::uint64_t say(lane& own) {
    if (here_ == no_rank) return board_.say(own.rank, own.said.own());
    char const* const what = name_of(static_cast<collective>(own.said.own()[1] & 0xff));
    std::size_t const count = own.said.size();
    connect(own, 1);
    if (own.spare.empty()) own.spare.push_back(tried(own, what, [&](Line& line) { return line.words(ranks_ * count); }));
    word* const all = own.spare.back();
    own.spare.pop_back();
    std::fill(all, all + ranks_ * count, word{0});
    std::copy(own.said.own().begin(), own.said.own().end(), all + own.rank * count);
    own.carried.push_back({all, own.next_round++, carry(own, what, all, count)});
    return own.carried.back().number;
  }

  /// Waits for the words of all ranks, and compares them; calls `more` with them. A rank that waits in vain takes its own
  /// back, where it `withdraws`, so that it may come again.
  template <class More = void (*)(word const*)>
  void hear(lane& own, std::uint64_t round, char const* what, bool withdraws, More more = [](word const*) {}) {
    own.heard = false;
    if (here_ != no_rank) return hear_carried(own, round, what, more);
    auto const end = board_.wait(round, clock::now() + deadline_);
    if (end == round_board::waited::aborted) {
      give_up(own);
      throw aborted(name_);
    }
    if (end == round_board::waited::too_long) {
      auto const came = board_.who_came(round);
      if (!withdraws || board_.withdraw(own.rank, round)) throw late(own, what, missing_of(came));
    }
    own.heard = true;
    read(own, board_.words_of(round), more, [&] { board_.forget(round); });
  }

 private:
  address address_of(std::size_t rank) {
    std::scoped_lock const lock(connecting_mutex_);
    if (!address_) address_ = address::make();
    connecting_[rank] = 1;
    return *address_;
  }
  /// Every rank gets all ranks' words, `count` of each.
  template <class Missing>
  void carry(lane& own, char const* what, word* all, std::size_t count, Missing missing) {
    std::uint64_t const mark = carry(own, what, all, count);
    until(own, what, [&](Line& line) { return line.done(mark); }, missing);
  }
  std::uint64_t carry(lane& own, char const* what, word* all, std::size_t count) {
    return exchange(own, what, [&](Line& line) {
      each_other(own, [&](std::size_t r) {
        send_elements(line, r, all + own.rank * count, count);
        receive_elements(line, r, all + r * count, count);
      });
    });
  }

  template <class F>
  auto tried(lane& own, char const* what, F f) {
    try {
      return f(*own.line);
    } catch (error const& e) {
      give_up(own);
      throw cannot_reach(own, what, e);
    }
  }
  [[nodiscard]] error cannot_reach(lane const& own, char const* what, error const& why) const {
    return error({std::string(what) + ": rank " + std::to_string(own.rank) + " cannot reach the others", name_, {}, why.what()});
  }

  /// Until `done(line)`, and no longer than to the deadline: then the line is given up, and `missing()` says what is not there.
  template <class Done, class Missing>
  void until(lane& own, char const* what, Done done, Missing missing) {
    auto const last = clock::now() + deadline_;
    for (unsigned looks = 0; !tried(own, what, done); ++looks) {
      if (board_.is_aborted()) {
        give_up(own);
        throw aborted(name_);
      }
      if (clock::now() >= last) {
        give_up(own);
        throw late(own, what, missing());
      }
      if (looks < 100) std::this_thread::yield();
      else std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
  }
  [[nodiscard]] error late(lane const& own, char const* what, std::string const& got) const {
    auto const waited = std::chrono::duration_cast<std::chrono::milliseconds>(deadline_).count();
    return error({.what = std::string(what) + ": rank " + std::to_string(own.rank) + " waits past the deadline",
                  .where = name_,
                  .expected = "all ranks within " + std::to_string(waited) + " ms",
                  .got = got});
  }
  static std::string missing_of(std::vector<char> const& there) {
    std::string missing;
    std::size_t come = 0;
    for (std::size_t r = 0; r < there.size(); ++r)
      if (there[r]) ++come;
      else missing += ' ' + std::to_string(r);
    return std::to_string(come) + " of " + std::to_string(there.size()) + ", without rank" + missing;
  }

  template <class More>
  void hear_carried(lane& own, std::uint64_t round, char const* what, More more) {
    auto const one = std::find_if(own.carried.begin(), own.carried.end(), [&](auto const& c) { return c.number == round; });
    carried_round const was = *one;
    until(own, what, [&](Line& line) { return line.done(was.mark); }, [&] {
      std::vector<char> came(ranks_);
      for (std::size_t r = 0; r < ranks_; ++r) came[r] = own.said.of(was.words, r)[0] != 0;
      return missing_of(came);
    });
    own.heard = true;
    own.carried.erase(one);
    read(own, was.words, more, [&] { own.spare.push_back(was.words); });
  }
  template <class More, class Forget>
  void read(lane const& own, word const* all, More more, Forget forget) {
    try {
      own.said.compare(all, own.rank, name_);
      more(all);
    } catch (...) {
      forget();
      throw;
    }
    forget();
  }

  std::string const name_;
  std::size_t const ranks_;
  clock::duration const deadline_;
  int const here_;

  std::mutex connecting_mutex_;
  std::optional<address> address_;
  std::vector<char> connecting_;  ///< which ranks look for the others
  round_board board_;
  std::deque<lane> lanes_;
};

}  // namespace mpx
