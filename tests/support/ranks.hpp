// Two ranks of a mesh axis on paper: whole numbers in small matrices, spread over them and put together again.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <mpx/core/layout.hpp>
#include <mpx/core/random.hpp>

namespace test {

struct matrix {
  std::size_t rows = 0, columns = 0;
  std::vector<long> values;

  long& at(std::size_t r, std::size_t c) { return values[r * columns + c]; }
  [[nodiscard]] long at(std::size_t r, std::size_t c) const { return values[r * columns + c]; }
  friend bool operator==(matrix const&, matrix const&) = default;
};

/// Whole numbers between -9 and 9 that no rule can guess.
inline matrix numbers(std::size_t rows, std::size_t columns, std::uint32_t seed) {
  matrix m{rows, columns, {}};
  for (std::size_t i = 0; i < rows * columns; ++i)
    m.values.push_back(static_cast<long>(mpx::philox({static_cast<std::uint32_t>(i), seed, 0, 0}, 5)[0] % 19) - 9);
  return m;
}

template <class F>
matrix each(matrix const& a, matrix const& b, F f) {
  matrix y = a;
  for (std::size_t i = 0; i < y.values.size(); ++i) y.values[i] = f(a.values[i], b.values[i]);
  return y;
}

inline matrix transposed(matrix const& m) {
  matrix t{m.columns, m.rows, std::vector<long>(m.values.size())};
  for (std::size_t r = 0; r < m.rows; ++r)
    for (std::size_t c = 0; c < m.columns; ++c) t.at(c, r) = m.at(r, c);
  return t;
}

/// [n, k] times [k, m].
inline matrix times(matrix const& a, matrix const& b) {
  matrix y{a.rows, b.columns, std::vector<long>(a.rows * b.columns)};
  for (std::size_t r = 0; r < a.rows; ++r)
    for (std::size_t c = 0; c < b.columns; ++c)
      for (std::size_t k = 0; k < a.columns && k < b.rows; ++k) y.at(r, c) += a.at(r, k) * b.at(k, c);
  return y;
}

/// The sum of all rows, as a column of numbers.
inline matrix row_sum(matrix const& m) {
  matrix s{m.columns, 1, std::vector<long>(m.columns)};
  for (std::size_t r = 0; r < m.rows; ++r)
    for (std::size_t c = 0; c < m.columns; ++c) s.at(c, 0) += m.at(r, c);
  return s;
}

using ranks = std::array<matrix, 2>;

inline matrix rows_of(matrix const& m, std::size_t first, std::size_t count) {
  matrix s{count, m.columns, {}};
  for (std::size_t i = first * m.columns; i < (first + count) * m.columns; ++i) s.values.push_back(m.values[i]);
  return s;
}

/// What each rank holds of the whole.
inline ranks scatter(matrix const& whole, mpx::spread over) {
  using enum mpx::spread;
  switch (over) {
    case partial: {
      matrix const one = numbers(whole.rows, whole.columns, 1000);
      return {one, each(whole, one, [](long a, long b) { return a - b; })};
    }
    case varying:
    case sharded_0: return {rows_of(whole, 0, whole.rows / 2), rows_of(whole, whole.rows / 2, whole.rows - whole.rows / 2)};
    case sharded_1: {
      auto const t = scatter(transposed(whole), sharded_0);
      return {transposed(t[0]), transposed(t[1])};
    }
    default: return {whole, whole};
  }
}

/// The whole, if the ranks hold one in this spread.
inline std::optional<matrix> gather(ranks const& of, mpx::spread over) {
  using enum mpx::spread;
  auto const& [a, b] = of;
  switch (over) {
    case partial:
      if (a.rows != b.rows || a.columns != b.columns) return {};
      return each(a, b, [](long p, long q) { return p + q; });
    case varying:
    case sharded_0: {
      if (a.columns != b.columns) return {};
      matrix whole{a.rows + b.rows, a.columns, a.values};
      whole.values.insert(whole.values.end(), b.values.begin(), b.values.end());
      return whole;
    }
    case sharded_1: {
      auto const t = gather({transposed(a), transposed(b)}, sharded_0);
      if (!t) return {};
      return transposed(*t);
    }
    case refused: return {};
    default:
      if (!(a == b)) return {};
      return a;
  }
}

inline std::string name_of(mpx::spread s) {
  using enum mpx::spread;
  switch (s) {
    case invariant: return "I";
    case replicated: return "R";
    case varying: return "V";
    case partial: return "P";
    case sharded_0: return "S<0>";
    case sharded_1: return "S<1>";
    default: return "-";
  }
}

inline constexpr std::array printed{mpx::spread::invariant, mpx::spread::replicated, mpx::spread::varying,
                                    mpx::spread::partial,   mpx::spread::sharded_0,  mpx::spread::sharded_1};

/// A rule of two spreads, as a table of Markdown: rows are the first operand.
template <class Rule>
std::string table_of(std::string const& title, std::string const& second, Rule rule) {
  std::string text = "| " + title + " | " + second + " = I | R | V | P | S<0> | S<1> |\n|---|---|---|---|---|---|---|\n";
  for (auto const a : printed) {
    text += "| " + name_of(a);
    for (auto const b : printed) text += " | " + name_of(rule(a, b));
    text += " |\n";
  }
  return text;
}

/// Rules of one spread, a row each.
inline std::string table_of_one(std::vector<std::pair<std::string, mpx::spread (*)(mpx::spread)>> const& rules) {
  std::string text = "| of x | I | R | V | P | S<0> | S<1> |\n|---|---|---|---|---|---|---|\n";
  for (auto const& [title, rule] : rules) {
    text += "| " + title;
    for (auto const a : printed) text += " | " + name_of(rule(a));
    text += " |\n";
  }
  return text;
}

}  // namespace test
