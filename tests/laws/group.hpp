// What the ranks of every group have after a collective is what the host's group gives them, bit by bit.
#pragma once

#include <mpx_test.hpp>

#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include <mpx/backend/operations.hpp>
#include <mpx/core/random.hpp>
#include <mpx/host/group.hpp>

namespace laws {

/// A rank's own numbers, of very different sizes, so that another order of sums is another result.
template <class T>
std::vector<T> numbers_of_rank(std::size_t rank, std::size_t n) {
  std::vector<T> out;
  for (std::size_t i = 0; i < n; ++i) {
    auto const word = mpx::philox({static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(rank), 0, 0}, 7);
    out.push_back(T(static_cast<float>(std::ldexp(mpx::uniform(word[0]) - 0.5f, static_cast<int>(word[1] % 12)))));
  }
  return out;
}

/// Which ranks bring which summands of an all_reduce, by place.
using bringers = std::vector<std::size_t>;

/// The last place's rank brings none of the others; the first one brings several, and whoever is not named brings none.
inline bringers some_bringers(std::size_t ranks) {
  if (ranks == 1) return {0, 0, 0};
  if (ranks == 2) return {1, 0, 1};
  return {ranks - 1, 0, 0, 1, 0};
}

/// Host memory as a rank of a group works with it.
template <class T>
class host_numbers {
 public:
  explicit host_numbers(std::vector<T> numbers) : numbers_(std::move(numbers)) {}
  [[nodiscard]] T* data() { return numbers_.data(); }
  [[nodiscard]] std::vector<T> read() const { return numbers_; }

 private:
  std::vector<T> numbers_;
};

/// What one rank has after each collective of a group, in turn: all of them over numbers of its own, into slices as
/// `slices` has them. `make(numbers)` puts numbers where the rank works: data() and read(). `several`: a group of as many
/// summands as some_bringers says.
template <class T, class Group, class Make>
std::vector<std::vector<T>> after_collectives(Group& g, Group& several, int rank, std::vector<std::size_t> const& slices,
                                              Make make) {
  auto const r = static_cast<std::size_t>(rank);
  std::size_t const ranks = slices.size() - 1, n = slices.back(), begin = slices[r], size = slices[r + 1] - begin;
  auto const mine = numbers_of_rank<T>(r, n);
  std::vector<std::vector<T>> after;
  auto const with = [&](auto collective) {
    auto at = make(mine);
    collective(at.data());
    after.push_back(at.read());
  };
  with([&](T* d) { g.all_reduce(rank, d, n); });
  with([&](T* d) { g.all_reduce_in_pairs(rank, d, n); });
  with([&](T* d) { g.all_reduce_max(rank, d, n); });
  with([&](T* d) { g.reduce_scatter(rank, d, d + begin, slices); });
  with([&](T* d) { g.reduce_scatter_in_pairs(rank, d, d + begin, slices); });
  with([&](T* d) { g.all_gather(rank, d + begin, d, slices); });
  with([&](T* d) { g.broadcast(rank, static_cast<int>(ranks) - 1, d, n); });
  {
    auto parts = make(mine), apart = make(numbers_of_rank<T>(90, n)), whole = make(numbers_of_rank<T>(91, n));
    g.reduce_scatter(rank, parts.data(), apart.data(), slices);
    g.all_gather(rank, apart.data(), whole.data(), slices);
    for (auto* one : {&parts, &apart, &whole}) after.push_back(one->read());
  }
  {
    auto const who = some_bringers(ranks);
    using held = decltype(make(mine));
    std::vector<held> parts;
    std::vector<mpx::summand<T>> brought;
    parts.reserve(who.size());
    for (std::size_t place = who.size(); place-- > 0;)  // the last one first
      if (who[place] == r) {
        parts.push_back(make(numbers_of_rank<T>(20 + place, n)));
        brought.push_back({parts.back().data(), place});
      }
    several.all_reduce(rank, std::span<mpx::summand<T> const>(brought), n);
    for (auto& one : parts) after.push_back(one.read());
  }
  // Two sums under way at once, each of them whole and in slices, while others meet between them.
  for (auto const order : {mpx::sum_order::one_by_one, mpx::sum_order::in_pairs}) {
    auto whole = make(mine), sliced = make(mine), again = make(numbers_of_rank<T>(40 + r, n)), between = make(mine);
    std::size_t const half = n / 2;
    g.begin_sum(rank, 3, whole.data(), n, {}, order);
    g.begin_sum(rank, 0, sliced.data(), n, slices, order);
    g.all_reduce(rank, between.data(), half);
    g.template take_sum<T>(rank, 0);
    g.begin_sum(rank, 1, again.data(), half, {}, order);
    g.template take_sum<T>(rank, 3);
    g.end_sum(rank, 0);
    g.template take_sum<T>(rank, 1);
    g.end_sum(rank, 1);
    g.end_sum(rank, 3);
    // Of a sum in slices a rank has its own one: the rest is nobody's.
    auto const held = sliced.read();
    after.emplace_back(held.begin() + static_cast<std::ptrdiff_t>(begin),
                       held.begin() + static_cast<std::ptrdiff_t>(begin + size));
    for (auto* one : {&whole, &again, &between}) after.push_back(one->read());
  }
  return after;
}

/// The same of the host's group, for each rank.
template <class T>
std::vector<std::vector<std::vector<T>>> after_collectives_of_the_host(std::vector<std::size_t> const& slices) {
  std::size_t const ranks = slices.size() - 1;
  int const count = static_cast<int>(ranks);
  std::vector<std::vector<std::vector<T>>> after(ranks);
  mpx::on_host::group g("host", count, std::chrono::seconds(20)),
      several("host", count, std::chrono::seconds(20), some_bringers(ranks).size());
  std::vector<std::thread> threads;
  for (std::size_t r = 0; r < ranks; ++r)
    threads.emplace_back([&, r] {
      after[r] = after_collectives<T>(g, several, static_cast<int>(r), slices,
                                      [](std::vector<T> numbers) { return host_numbers<T>(std::move(numbers)); });
    });
  for (auto& t : threads) t.join();
  return after;
}

/// Which collective left other bits than the host's; -1: none did.
template <class T>
int first_other(std::vector<std::vector<T>> const& a, std::vector<std::vector<T>> const& b) {
  if (a.size() != b.size()) return 1000;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i].size() != b[i].size() || (!a[i].empty() && std::memcmp(a[i].data(), b[i].data(), a[i].size() * sizeof(T)) != 0))
      return static_cast<int>(i);
  return -1;
}

/// Tables of slices for so many ranks: even, uneven, with empty ones, around a cache line and a block, and empty altogether.
inline std::vector<std::vector<std::size_t>> slice_tables(std::size_t ranks) {
  std::vector<std::vector<std::size_t>> out;
  for (std::size_t const step : {0u, 1u, 16u, 33u, 300u}) {
    out.emplace_back(1, 0);
    for (std::size_t r = 0; r < ranks; ++r) out.back().push_back(out.back().back() + step);
  }
  out.emplace_back(1, 0);
  for (std::size_t r = 0; r < ranks; ++r)
    out.back().push_back(out.back().back() + (r % 2 == 0 ? 0 : 257 * r));  // the first is empty
  out.emplace_back(1, 0);
  for (std::size_t r = 0; r < ranks; ++r) out.back().push_back(out.back().back() + (r == 0 ? 513 : r % 3));
  return out;
}

}  // namespace laws
