/// @file
/// What a rank says of a collective before it exchanges anything, and how ranks find out that they do not agree.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <mpx/core/error.hpp>

namespace mpx {

/// What ranks do together, each with its own words for it.
enum class collective : unsigned char {
  barrier,
  all_reduce,
  all_reduce_in_pairs,
  all_reduce_max,
  reduce_scatter,
  reduce_scatter_in_pairs,
  all_gather,
  broadcast,
  begin_sum,
  begin_sum_in_pairs,
  take_sum
};

/// How errors call it.
[[nodiscard]] constexpr char const* name_of(collective kind) {
  constexpr std::array<char const*, 11> names{
      "barrier",   "all_reduce", "all_reduce", "all_reduce", "reduce_scatter", "reduce_scatter", "all_gather",
      "broadcast", "sum",        "sum",        "sum"};
  return names[static_cast<std::size_t>(kind)];
}

/// One collective, as one rank sees it.
struct call {
  collective kind = collective::barrier;
  std::size_t which = 0;  ///< a sum's number, or a broadcast's root
  std::size_t n = 0;      ///< elements that it brings
  std::size_t element = 0;
  std::span<std::size_t const> slices{};
};

/// Words of one rank, as many for each collective of a group.
/// Shapes  [arrived, kind and element size, which, n, number of bounds, bounds: ranks + 1, places: a bit for each summand]
class call_words {
 public:
  using word = std::uint64_t;

  call_words(std::size_t ranks, std::size_t summands) : ranks_(ranks), summands_(summands), own_(size()) {}

  [[nodiscard]] std::size_t size() const { return fixed + ranks_ + 1 + (summands_ + 63) / 64; }
  [[nodiscard]] std::span<word const> own() const { return own_; }

  void say(call const& c) {
    std::fill(own_.begin(), own_.end(), word{0});
    own_[0] = 1;
    own_[1] = static_cast<word>(c.kind) | word{c.element} << 8;
    own_[2] = c.which;
    own_[3] = c.n;
    own_[4] = c.slices.size();
    std::copy(c.slices.begin(), c.slices.end(), own_.begin() + fixed);
  }
  void brings(std::size_t place) { own_[fixed + ranks_ + 1 + place / 64] |= word{1} << place % 64; }

  [[nodiscard]] bool brings(word const* all, std::size_t rank, std::size_t place) const {
    return of(all, rank)[fixed + ranks_ + 1 + place / 64] >> place % 64 & 1;
  }
  [[nodiscard]] word const* of(word const* all, std::size_t rank) const { return all + rank * size(); }

  /// Whether all ranks mean the same collective over the same elements.
  /// Errors  throws mpx::error when not, in every rank alike
  void compare(word const* all, std::size_t rank, std::string const& where) const {
    word const* const mine = of(all, rank);
    auto const kind = static_cast<collective>(mine[1] & 0xff);
    std::string const what = name_of(kind);
    auto const each = [&](auto f) {
      for (std::size_t r = 0; r < ranks_; ++r) f(r, of(all, r));
    };
    each([&](std::size_t r, word const* other) {
      if (other[1] != mine[1] || (kind != collective::broadcast && other[2] != mine[2]))
        throw error({"ranks in different collectives", where, in(rank, mine), in(r, other)});
    });
    each([&](std::size_t r, word const* other) {
      if (other[3] != mine[3])
        throw error({what + " over different numbers of elements", where, with(rank) + std::to_string(mine[3]),
                     with(r) + std::to_string(other[3])});
    });
    each([&](std::size_t, word const* other) {
      if (!std::equal(other + 4, other + fixed + ranks_ + 1, mine + 4))
        throw error({what + " over different slices", where, "the same bounds on every rank", "others"});
    });
    each([&](std::size_t, word const* other) {
      if (other[2] != mine[2]) throw error({"broadcast from different ranks", where, with(mine[2]) + "the data", "others"});
    });
  }

  /// Which rank brings the summand of each place.
  /// Errors  throws mpx::error when nobody does, or two ranks do
  void owners(word const* all, std::vector<std::size_t>& out, std::string const& where) const {
    out.assign(summands_, ranks_);
    for (std::size_t place = 0; place < summands_; ++place) {
      for (std::size_t r = 0; r < ranks_; ++r)
        if (brings(all, r, place))
          if (std::size_t const before = std::exchange(out[place], r); before != ranks_)
            throw error({"all_reduce with a summand twice", where, "one at place " + std::to_string(place),
                         "another one of rank " + std::to_string(r)});
      if (out[place] == ranks_)
        throw error({"all_reduce without one of its summands", where, std::to_string(summands_) + " summands",
                     "none at place " + std::to_string(place)});
    }
  }

 private:
  static constexpr std::size_t fixed = 5;

  static std::string with(std::size_t rank) { return "rank " + std::to_string(rank) + " with "; }
  /// "rank 1 in all_gather (kind 6, number 0, elements of 4 bytes)": what may differ behind the same name.
  static std::string in(std::size_t rank, word const* said) {
    return "rank " + std::to_string(rank) + " in " + name_of(static_cast<collective>(said[1] & 0xff)) + " (kind " +
           std::to_string(said[1] & 0xff) + ", number " + std::to_string(said[2]) + ", elements of " +
           std::to_string(said[1] >> 8) + " bytes)";
  }

  std::size_t ranks_, summands_;
  std::vector<word> own_;
};

}  // namespace mpx
