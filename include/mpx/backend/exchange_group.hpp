/// @file
/// Ranks that send each other their slices, and each combines what arrives by itself, in mpx's own order.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <mpx/backend/call_words.hpp>
#include <mpx/backend/operations.hpp>
#include <mpx/backend/rank_lines.hpp>
#include <mpx/core/error.hpp>

namespace mpx {

/// N ranks, threads of one process or a process each, that take part in the same collectives in the same order. What a
/// library's own sums do not promise, the order of their summands, is kept: the library carries bytes, and a rank adds up
/// its own slice. As many bytes travel as in a ring. A rank's end of the network is a `Line`, which its own thread works with:
///   address, address::make()   by what the ends of one network find each other
///   Line(address, rank, ranks), connected()   begins to look for the others; whether all are there
///   begin(), send(rank, from, bytes), receive(rank, to, bytes), broadcast(root, data, bytes), end()   an exchange: behind
///                              the exchanges before it, and behind what the thread has asked for until begin()
///   accepted()                 whether an exchange is in its queue, so that mark() and begin() may follow
///   mark(), done(mark)         whether all exchanges before the mark have ended
///   combine<T>(how, parts, count, n, slice), copy(to, from, bytes)   behind what the thread has asked for
///   scratch(number, bytes)     memory for bytes that arrive; grows, and loses what was in it
///   words(count)               memory that the host and an exchange both reach, as long as the line lives
///   leave()                    all has gone well, and there will be no more exchanges: the destructor may wait for the other
///                              ends to leave too; without it, it waits for nobody
///   abort()                    nothing of it is under way any more when it returns
///   most_parts                 that combine takes
/// Errors  throws mpx::error when a rank waits past the deadline, when the network fails, when the ranks disagree on the
///         collective, on the number of elements or on their slices, when a summand is missing or comes twice, or when there
///         are more parts than a line combines; throws `aborted` after `abort()`, and where this rank's line has been given up
template <class Line>
class exchange_group {
 public:
  using clock = std::chrono::steady_clock;
  using address = typename Line::address;

  /// Ranks that are threads of this process: they meet in its memory, and connect at the first collective that needs it.
  exchange_group(std::string name, int ranks, clock::duration deadline, std::size_t summands)
      : exchange_group(std::move(name), ranks, deadline, summands, std::nullopt, lines::no_rank) {}
  exchange_group(std::string name, int ranks, clock::duration deadline)
      : exchange_group(std::move(name), ranks, deadline, static_cast<std::size_t>(ranks > 0 ? ranks : 0)) {}

  /// One rank of this process, `here`; the others are in processes of their own. One of them calls address::make(), and
  /// hands it to all. After an abort or a deadline this group is over: a new one takes a new address.
  exchange_group(std::string name, int ranks, clock::duration deadline, std::size_t summands, address const& where, int here)
      : exchange_group(std::move(name), ranks, deadline, summands, std::optional(where), here) {}

  exchange_group(exchange_group const&) = delete;
  exchange_group& operator=(exchange_group const&) = delete;

  [[nodiscard]] int size() const noexcept { return static_cast<int>(net_.count()); }

  /// Returns when every rank has called it. What threads wrote to the host's memory is then seen by all.
  void barrier(int rank) { net_.agree(net_.open_lane(rank), {}); }

  // What these do is said in thread_group: bit for bit the same.
  template <class T>
  void all_reduce(int rank, T* data, std::size_t n) { combine_one(collective::all_reduce, rank, data, n); }
  template <class T>
  void all_reduce_max(int rank, T* data, std::size_t n) {
    combine_one(collective::all_reduce_max, rank, data, n);
  }
  template <class T>
  void all_reduce_in_pairs(int rank, T* data, std::size_t n) {
    combine_one(collective::all_reduce_in_pairs, rank, data, n);
  }
  template <class T>
  void all_reduce(int rank, std::span<summand<T> const> mine, std::size_t n) {
    combine(collective::all_reduce, rank, mine, n);
  }
  template <class T>
  void reduce_scatter(int rank, T* parts, T* slice, std::span<std::size_t const> slices) {
    scatter(collective::reduce_scatter, rank, parts, slice, slices);
  }
  template <class T>
  void reduce_scatter_in_pairs(int rank, T* parts, T* slice, std::span<std::size_t const> slices) {
    scatter(collective::reduce_scatter_in_pairs, rank, parts, slice, slices);
  }

  template <class T>
  void all_gather(int rank, T* slice, T* whole, std::span<std::size_t const> slices) {
    lane& own = net_.open_lane(rank);
    check_slices(slices, "all_gather");
    net_.agree(own, {collective::all_gather, 0, slices.back(), sizeof(T), slices});
    std::size_t const n = slices[own.rank + 1] - slices[own.rank];
    if (slices.back() > 0) {
      net_.exchange_and_wait(own, "all_gather", [&](Line& line) {
        net_.each_other(own, [&](std::size_t r) {
          send_elements(line, r, slice, n);
          receive_elements(line, r, whole + slices[r], slices[r + 1] - slices[r]);
        });
      });
      if (n > 0 && slice != whole + slices[own.rank]) own.line->copy(whole + slices[own.rank], slice, n * sizeof(T));
    }
    own.brought += n * sizeof(T);
  }

  template <class T>
  void broadcast(int rank, int root, T* data, std::size_t n) {
    lane& own = net_.open_lane(rank);
    net_.agree(own, {collective::broadcast, at(root), n, sizeof(T), {}});
    if (n > 0 && net_.count() > 1)
      net_.exchange_and_wait(own, "broadcast", [&](Line& line) { line.broadcast(root, data, n * sizeof(T)); });
    if (rank == root) own.brought += n * sizeof(T);
  }

  // A sum in three parts, as in thread_group: its exchange is under way from begin_sum on, and waits for nobody. All ranks
  // begin and take their sums, and come to the collectives between them, in the same order: exchanges stand in a queue.
  template <class T>
  void begin_sum(int rank, std::size_t number, T* data, std::size_t n, std::span<std::size_t const> slices, sum_order order) {
    if (!slices.empty()) check_slices(slices, "sum");
    lane& own = net_.open_lane(rank);
    while (own.sums.size() <= number) own.sums.emplace_back();
    sum_under_way& sum = own.sums[number];
    if (sum.begun)
      throw error({"a sum begun again before its end", net_.name(), "end_sum first", "number " + std::to_string(number)});
    auto const kind = order == sum_order::in_pairs ? collective::begin_sum_in_pairs : collective::begin_sum;
    net_.connect(own, n);
    sum = {.data = data, .n = n, .slices = slices, .order = order, .begun = true};
    sum.round = net_.say(own, {kind, number, n, sizeof(T), slices});
    if (n > 0) sum.exchange = exchange_shares(own, "sum", sum.bounds(*this, sizeof(T)), data, 1 + number);
    own.brought += n * sizeof(T);
  }

  template <class T>
  void take_sum(int rank, std::size_t number) {
    lane& own = net_.open_lane(rank);
    sum_under_way& sum = sum_of(own, number, &sum_under_way::begun);
    hear_of(own, sum);
    T* const data = static_cast<T*>(sum.data);
    if (sum.n > 0) {
      net_.finish(own, sum.exchange, "sum");
      auto const bounds = sum.bounds(*this, sizeof(T));
      auto const how = sum.order == sum_order::in_pairs ? combining::sum_in_pairs : combining::sum;
      combine_share(own, how, bounds, data, data + bounds(own.rank), 1 + number);
      if (sum.slices.empty()) {
        sum.round = net_.say(own, {collective::take_sum, number, sum.n, sizeof(T), {}});
        sum.exchange = net_.exchange(own, "sum", [&](Line& line) {
          net_.each_other(own, [&](std::size_t r) {
            send_elements(line, r, data + bounds(own.rank), bounds(own.rank + 1) - bounds(own.rank));
            receive_elements(line, r, data + bounds(r), bounds(r + 1) - bounds(r));
          });
        });
      }
    }
    sum.taken = true;
  }

  /// The data is this rank's again, and without slices it is the whole sum: then all ranks have taken their shares.
  void end_sum(int rank, std::size_t number) {
    lane& own = net_.open_lane(rank);
    sum_under_way& sum = sum_of(own, number, &sum_under_way::taken);
    if (sum.slices.empty() && sum.n > 0) {
      hear_of(own, sum);
      net_.finish(own, sum.exchange, "sum");
    }
    sum.begun = sum.taken = false;
  }

  [[nodiscard]] std::uint64_t bytes_brought(int rank) const { return net_.lane_of(rank).brought; }

  /// Forgets an abort and all that was under way; the ranks connect anew. Only while no rank is inside.
  /// Errors  throws mpx::error where the ranks are processes and this one has given up
  void open() { net_.open(); }

  /// Every rank of this process throws `aborted`, now and in every later call until `open()`. Ranks of other processes find
  /// out by the network, or at their deadline.
  void abort() { net_.abort(); }

 private:
  /// Where each rank's share of n elements begins.
  struct share_bounds {
    std::span<std::size_t const> slices;
    std::size_t share, n;
    std::size_t operator()(std::size_t r) const { return slices.empty() ? std::min(r * share, n) : slices[r]; }
  };

  struct sum_under_way {
    void* data = nullptr;
    std::size_t n = 0;
    std::span<std::size_t const> slices{};
    sum_order order = sum_order::one_by_one;
    bool begun = false, taken = false;
    std::uint64_t round = 0, exchange = 0;

    [[nodiscard]] share_bounds bounds(exchange_group const& g, std::size_t element) const {
      return slices.empty() ? g.shares(n, element) : share_bounds{slices, 0, n};
    }
  };

  /// What the others have said of a sum whose exchange is under way: where it is another one, that exchange would not end, or
  /// would meet what comes after it.
  template <class Lane>
  void hear_of(Lane& own, sum_under_way const& sum) {
    try {
      net_.hear(own, sum.round, "sum", false);
    } catch (error const&) {
      if (own.heard) net_.give_up(own);
      throw;
    }
  }

  /// What belongs to one rank beside its line.
  struct work {
    void clear() { sums.clear(); }
    std::deque<sum_under_way> sums;
    std::uint64_t brought = 0;
    std::vector<std::size_t> owners;  ///< of summands
    std::vector<void*> parts;         ///< by place
  };
  using lines = rank_lines<Line, work>;
  using lane = typename lines::lane;

  exchange_group(std::string name, int ranks, clock::duration deadline, std::size_t summands, std::optional<address> where,
                 int here)
      : summands_(summands), net_(std::move(name), ranks, deadline, summands, std::move(where), here) {}

  static std::size_t at(int rank) { return static_cast<std::size_t>(rank); }

  sum_under_way& sum_of(lane& own, std::size_t number, bool sum_under_way::*so_far) const {
    if (number >= own.sums.size() || !(own.sums[number].*so_far))
      throw error({so_far == &sum_under_way::begun ? "a sum taken that was not begun" : "a sum ended that was not taken",
                   net_.name(), "begin_sum, take_sum, end_sum", "number " + std::to_string(number)});
    return own.sums[number];
  }
  void check_slices(std::span<std::size_t const> slices, char const* what) const {
    if (slices.size() != net_.count() + 1 || slices.front() != 0 || !std::is_sorted(slices.begin(), slices.end()))
      throw error({std::string(what) + " without a slice for each rank", net_.name(),
                   std::to_string(net_.count() + 1) + " bounds that begin at 0 and never fall",
                   std::to_string(slices.size()) + " bounds"});
  }
  /// Whole cache lines, as even as they allow.
  [[nodiscard]] share_bounds shares(std::size_t n, std::size_t element) const {
    std::size_t const line = 64 / element;
    return {{}, ((n + net_.count() - 1) / net_.count() + line - 1) / line * line, n};
  }

  // --- collectives ---------------------------------------------------------------------------------------------------
  template <class T>
  void combine_one(collective kind, int rank, T* data, std::size_t n) {
    summand<T> const mine{data, at(rank)};
    combine(kind, rank, std::span<summand<T> const>(&mine, 1), n);
  }

  template <class T>
  void combine(collective kind, int rank, std::span<summand<T> const> mine, std::size_t n) {
    lane& own = net_.open_lane(rank);
    own.said.say({kind, 0, n, sizeof(T), {}});
    own.parts.assign(summands_, nullptr);
    for (auto const& one : mine) {
      if (one.place >= summands_)
        throw error({"all_reduce with a summand too many", net_.name(), std::to_string(summands_) + " summands",
                     "one at place " + std::to_string(one.place)});
      own.said.brings(one.place);
      own.parts[one.place] = one.data;
    }
    net_.hear(own, net_.say(own), "all_reduce", true, [&](std::uint64_t const* all) {
      if (n > 0) own.said.owners(all, own.owners, net_.name());
    });
    if (n > 0) sum_up<T>(kind, own, mine, n);
    own.brought += mine.size() * n * sizeof(T);
  }

  /// Slices of all summands go to the rank that combines them, and come back to those that bring one.
  template <class T>
  void sum_up(collective kind, lane& own, std::span<summand<T> const> mine, std::size_t n) {
    auto const bounds = shares(n, sizeof(T));
    std::size_t const begin = bounds(own.rank), share = bounds(own.rank + 1) - begin;
    net_.connect(own, n);
    // Behind the parts that arrive, room for the result of a rank that brings none.
    T* scratch = reinterpret_cast<T*>(own.line->scratch(0, (summands_ + 1) * share * sizeof(T)));
    T* const result = mine.empty() ? scratch + summands_ * share : mine[0].data + begin;
    net_.exchange_and_wait(own, "all_reduce", [&](Line& line) {
      for (std::size_t place = 0; place < summands_; ++place) {
        if (own.owners[place] == own.rank) {
          T* const part = static_cast<T*>(own.parts[place]);
          net_.each_other(own, [&](std::size_t r) { send_elements(line, r, part + bounds(r), bounds(r + 1) - bounds(r)); });
          own.parts[place] = part + begin;
        } else {
          receive_elements(line, own.owners[place], scratch, share);
          own.parts[place] = std::exchange(scratch, scratch + share);
        }
      }
    });
    auto const how = kind == collective::all_reduce_max        ? combining::largest
                     : kind == collective::all_reduce_in_pairs ? combining::sum_in_pairs
                                                               : combining::sum;
    if (share > 0) own.line->template combine<T>(how, own.parts.data(), summands_, share, result);
    auto const brings = [&](std::size_t r) { return std::find(own.owners.begin(), own.owners.end(), r) != own.owners.end(); };
    net_.exchange_and_wait(own, "all_reduce", [&](Line& line) {
      net_.each_other(own, [&](std::size_t r) {
        if (brings(r)) send_elements(line, r, result, share);
        if (!mine.empty()) receive_elements(line, r, mine[0].data + bounds(r), bounds(r + 1) - bounds(r));
      });
    });
    for (std::size_t i = 1; i < mine.size(); ++i) own.line->copy(mine[i].data, mine[0].data, n * sizeof(T));
  }

  template <class T>
  void scatter(collective kind, int rank, T* parts, T* slice, std::span<std::size_t const> slices) {
    lane& own = net_.open_lane(rank);
    check_slices(slices, "reduce_scatter");
    std::size_t const n = slices.back();
    net_.agree(own, {kind, 0, n, sizeof(T), slices});
    if (n > 0) {
      share_bounds const bounds{slices, 0, n};
      net_.connect(own, n);
      net_.finish(own, exchange_shares(own, "reduce_scatter", bounds, parts, 0), "reduce_scatter");
      auto const how = kind == collective::reduce_scatter ? combining::sum : combining::sum_in_pairs;
      combine_share(own, how, bounds, parts, slice, 0);
    }
    own.brought += n * sizeof(T);
  }

  /// Every rank gets the others' parts of its share, in its scratch memory.
  template <class T>
  std::uint64_t exchange_shares(lane& own, char const* what, share_bounds const& bounds, T* data, std::size_t scratch) {
    std::size_t const share = bounds(own.rank + 1) - bounds(own.rank);
    T* to = reinterpret_cast<T*>(own.line->scratch(scratch, (net_.count() - 1) * share * sizeof(T)));
    return net_.exchange(own, what, [&](Line& line) {
      net_.each_other(own, [&](std::size_t r) {
        send_elements(line, r, data + bounds(r), bounds(r + 1) - bounds(r));
        receive_elements(line, r, std::exchange(to, to + share), share);
      });
    });
  }
  /// And adds them to its own one.
  template <class T>
  void combine_share(lane& own, combining how, share_bounds const& bounds, T* data, T* slice, std::size_t scratch) {
    std::size_t const share = bounds(own.rank + 1) - bounds(own.rank);
    if (share == 0) return;
    T* from = reinterpret_cast<T*>(own.line->scratch(scratch, (net_.count() - 1) * share * sizeof(T)));
    own.parts.assign(net_.count(), data + bounds(own.rank));
    net_.each_other(own, [&](std::size_t r) { own.parts[r] = std::exchange(from, from + share); });
    own.line->template combine<T>(how, own.parts.data(), net_.count(), share, slice);
  }

  std::size_t const summands_;
  lines net_;
};

}  // namespace mpx
