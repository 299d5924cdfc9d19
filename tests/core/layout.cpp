// Mirrors include/mpx/core/layout.hpp. The law of the algebra: an operation is allowed exactly where the same local
// operation on every rank, forward and backward, gives the right values of the whole.
#include <mpx/core/layout.hpp>

#include <array>
#include <cstddef>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include <mpx_test.hpp>

#include "support/ranks.hpp"

namespace {

using mpx::spread;
using enum mpx::spread;
using namespace test;

constexpr std::array all_spreads{invariant, replicated, varying, partial, sharded_0, sharded_1};

/// The spreads under which an operation on two tensors is right, forward and backward.
template <class Operation>
std::vector<spread> right_results(spread x, spread w, matrix const& whole_x, matrix const& whole_w) {
  matrix const whole_y = Operation::forward(whole_x, whole_w);
  matrix const whole_dy = numbers(whole_y.rows, whole_y.columns, 77);
  auto const xs = scatter(whole_x, x), ws = scatter(whole_w, w);
  if (!Operation::fits(xs[0], ws[0])) return {};
  std::vector<spread> right;
  for (spread const y : all_spreads) {
    ranks ys, dxs, dws;
    for (std::size_t r = 0; r < 2; ++r) ys[r] = Operation::forward(xs[r], ws[r]);
    if (gather(ys, y) != whole_y) continue;
    auto const dys = scatter(whole_dy, mpx::layouts::gradient(y));
    for (std::size_t r = 0; r < 2; ++r) {
      dxs[r] = Operation::back_to_first(dys[r], xs[r], ws[r]);
      dws[r] = Operation::back_to_second(dys[r], xs[r], ws[r]);
    }
    bool const first = gather(dxs, mpx::layouts::gradient(x)) == Operation::back_to_first(whole_dy, whole_x, whole_w);
    bool const second = gather(dws, mpx::layouts::gradient(w)) == Operation::back_to_second(whole_dy, whole_x, whole_w);
    if (first && second) right.push_back(y);
  }
  return right;
}

/// A stack of samples and a slice of rows are the same numbers: one name for both.
spread plain(spread s) { return s == varying ? sharded_0 : s; }

/// `rule` allows what is right and refuses what is not, for every pair of spreads. Weights do not vary: `w` skips V.
template <class Operation, class Rule>
void holds_exactly(Rule rule, matrix const& x, matrix const& w, bool second_varies = false) {
  for (spread const a : all_spreads)
    for (spread const b : all_spreads) {
      CAPTURE(name_of(a), name_of(b));
      if ((b == varying && !second_varies) || (a == varying && b == sharded_0) || (a == sharded_0 && b == varying)) {
        CHECK(rule(a, b) == refused);
        continue;
      }
      auto const right = right_results<Operation>(a, b, x, w);
      spread const given = rule(a, b);
      if (given == refused) {
        INFO("refused, but right as " << (right.empty() ? "" : name_of(right.front())));
        CHECK(right.empty());
      } else {
        bool found = false;
        for (spread const y : right) found = found || plain(y) == plain(given);
        INFO("given " << name_of(given));
        CHECK(found);
        CHECK((given == varying) == (a == varying || (second_varies && b == varying)));
      }
    }
}

struct sum_operation {
  static bool fits(matrix const& a, matrix const& b) { return a.rows == b.rows && a.columns == b.columns; }
  static matrix forward(matrix const& a, matrix const& b) { return each(a, b, [](long p, long q) { return p + q; }); }
  static matrix back_to_first(matrix const& dy, matrix const&, matrix const&) { return dy; }
  static matrix back_to_second(matrix const& dy, matrix const&, matrix const&) { return dy; }
};
struct product_operation {
  static bool fits(matrix const& a, matrix const& b) { return sum_operation::fits(a, b); }
  static matrix forward(matrix const& a, matrix const& b) { return each(a, b, [](long p, long q) { return p * q; }); }
  static matrix back_to_first(matrix const& dy, matrix const&, matrix const& b) { return forward(dy, b); }
  static matrix back_to_second(matrix const& dy, matrix const& a, matrix const&) { return forward(dy, a); }
};
struct linear_operation {
  static bool fits(matrix const& x, matrix const& w) { return x.columns == w.columns; }
  static matrix forward(matrix const& x, matrix const& w) { return times(x, transposed(w)); }
  static matrix back_to_first(matrix const& dy, matrix const&, matrix const& w) { return times(dy, w); }
  static matrix back_to_second(matrix const& dy, matrix const& x, matrix const&) { return times(transposed(dy), x); }
};
/// x[r] + b, b being a column of numbers.
struct bias_operation {
  static bool fits(matrix const& x, matrix const& b) { return x.columns == b.rows && b.columns == 1; }
  static matrix forward(matrix const& x, matrix const& b) {
    matrix y = x;
    for (std::size_t r = 0; r < x.rows; ++r)
      for (std::size_t c = 0; c < x.columns; ++c) y.at(r, c) += b.at(c, 0);
    return y;
  }
  static matrix back_to_first(matrix const& dy, matrix const&, matrix const&) { return dy; }
  static matrix back_to_second(matrix const& dy, matrix const&, matrix const&) { return row_sum(dy); }
};
/// y[r,c] = (sum of row r)^2 w[c]: not linear, and of whole rows.
struct row_operation {
  static bool fits(matrix const& x, matrix const& w) { return bias_operation::fits(x, w); }
  static long total(matrix const& x, std::size_t r) {
    long sum = 0;
    for (std::size_t c = 0; c < x.columns; ++c) sum += x.at(r, c);
    return sum;
  }
  static matrix forward(matrix const& x, matrix const& w) {
    matrix y = x;
    for (std::size_t r = 0; r < x.rows; ++r)
      for (std::size_t c = 0; c < x.columns; ++c) y.at(r, c) = total(x, r) * total(x, r) * w.at(c, 0);
    return y;
  }
  static matrix back_to_first(matrix const& dy, matrix const& x, matrix const& w) {
    matrix dx = x;
    for (std::size_t r = 0; r < x.rows; ++r) {
      long sum = 0;
      for (std::size_t c = 0; c < x.columns; ++c) sum += dy.at(r, c) * w.at(c, 0);
      for (std::size_t c = 0; c < x.columns; ++c) dx.at(r, c) = 2 * total(x, r) * sum;
    }
    return dx;
  }
  static matrix back_to_second(matrix const& dy, matrix const& x, matrix const&) {
    matrix scaled = dy;
    for (std::size_t r = 0; r < x.rows; ++r)
      for (std::size_t c = 0; c < x.columns; ++c) scaled.at(r, c) *= total(x, r) * total(x, r);
    return row_sum(scaled);
  }
};
struct function_operation {
  static bool fits(matrix const&, matrix const&) { return true; }
  static matrix forward(matrix const& x, matrix const&) { return each(x, x, [](long a, long b) { return a * b; }); }
  static matrix back_to_first(matrix const& dy, matrix const& x, matrix const&) {
    return each(dy, x, [](long d, long a) { return 2 * d * a; });
  }
  static matrix back_to_second(matrix const&, matrix const&, matrix const& w) { return w; }
};
/// y[r,c] = (sum of column c)^2 + x[r,c]: every row looks at all rows, columns do not look at each other.
struct heads_operation {
  static bool fits(matrix const&, matrix const&) { return true; }
  static matrix forward(matrix const& x, matrix const&) {
    matrix const sums = row_sum(x);
    matrix y = x;
    for (std::size_t r = 0; r < x.rows; ++r)
      for (std::size_t c = 0; c < x.columns; ++c) y.at(r, c) += sums.at(c, 0) * sums.at(c, 0);
    return y;
  }
  static matrix back_to_first(matrix const& dy, matrix const& x, matrix const&) {
    matrix const sums = row_sum(x), all = row_sum(dy);
    matrix dx = dy;
    for (std::size_t r = 0; r < x.rows; ++r)
      for (std::size_t c = 0; c < x.columns; ++c) dx.at(r, c) += 2 * sums.at(c, 0) * all.at(c, 0);
    return dx;
  }
  static matrix back_to_second(matrix const&, matrix const&, matrix const& w) { return w; }
};

/// The same for an operation on one tensor.
template <class Operation, class Rule>
void holds_exactly(Rule rule, matrix const& x, spread except = refused) {
  for (spread const a : all_spreads) {
    CAPTURE(name_of(a));
    if (a == except) continue;
    auto const right = right_results<Operation>(a, invariant, x, x);
    bool found = false;
    for (spread const y : right) found = found || plain(y) == plain(rule(a));
    CHECK((rule(a) == refused ? right.empty() : found));
    CHECK((rule(a) == varying) == (a == varying));
  }
}

matrix const x = numbers(6, 4, 1), w = numbers(10, 4, 2), b = numbers(4, 1, 3), z = numbers(6, 4, 4);

}  // namespace

// What the ranks of an axis hold of a gradient; twice is the tensor again.
static_assert([] {
  for (spread const s : all_spreads)
    if (mpx::layouts::gradient(mpx::layouts::gradient(s)) != s) return false;
  return true;
}());
static_assert(mpx::layouts::product(partial, partial) == refused);     // P times P
static_assert(mpx::layouts::sum(replicated, partial) == refused);      // R plus P
static_assert(mpx::layouts::sum(partial, partial) == partial);         // P plus P
static_assert(mpx::layouts::update(replicated, partial) == refused);   // a gradient that is not reduced
static_assert(mpx::layouts::all_reduce(invariant) == refused);         // or reduced twice

// Column parallel, then row parallel: a slice of the columns, a partial sum, the whole.
static_assert(mpx::layouts::all_reduce(mpx::layouts::linear(mpx::layouts::linear(mpx::layouts::replicate(invariant), sharded_0),
                                                            sharded_1)) == invariant);

TEST_CASE("a sum of two tensors is allowed exactly where it is right on every rank", "[core][layout]") {
  holds_exactly<sum_operation>(mpx::layouts::sum, x, z, true);
}
TEST_CASE("a product is allowed exactly where it is right on every rank", "[core][layout]") {
  holds_exactly<product_operation>(mpx::layouts::product, x, z, true);
}
TEST_CASE("a dense layer is allowed exactly where it is right on every rank", "[core][layout]") {
  holds_exactly<linear_operation>(mpx::layouts::linear, x, w);
}
TEST_CASE("a bias is allowed exactly where it is right on every rank", "[core][layout]") {
  holds_exactly<bias_operation>(mpx::layouts::biased, x, b);
}
TEST_CASE("a function of rows is allowed exactly where it is right on every rank", "[core][layout]") {
  holds_exactly<row_operation>(mpx::layouts::rowwise, x, b);
}
TEST_CASE("a function of elements is allowed exactly where it is right on every rank", "[core][layout]") {
  holds_exactly<function_operation>(mpx::layouts::function, x);
}
TEST_CASE("attention is allowed exactly where it is right on every rank", "[core][layout]") {
  holds_exactly<heads_operation>(mpx::layouts::heads, x, varying);  // V: tokens of other sequences, which nobody looks at
  CHECK(mpx::layouts::heads(varying) == varying);
}

TEST_CASE("rows of a table by ids are right in the spread that the rule gives", "[core][layout]") {
  // Six ids below 10. A rank that holds a slice of the table has 0 for the ids of the other slice.
  std::array<std::size_t, 6> const ids{3, 9, 0, 5, 3, 7};
  auto const look_up = [&](matrix const& table, std::size_t first, std::size_t from, std::size_t count) {
    matrix y{count, table.columns, std::vector<long>(count * table.columns)};
    for (std::size_t r = 0; r < count; ++r)
      if (std::size_t const id = ids[from + r] - first; id < table.rows)
        for (std::size_t c = 0; c < table.columns; ++c) y.at(r, c) = table.at(id, c);
    return y;
  };
  matrix const whole = look_up(w, 0, 0, 6);
  for (spread const of_ids : {invariant, varying, sharded_0})
    for (spread const of_table : all_spreads) {
      CAPTURE(name_of(of_ids), name_of(of_table));
      spread const given = mpx::layouts::lookup(of_ids, of_table);
      if (given == refused) continue;
      auto const tables = scatter(w, of_table);
      std::size_t const rows = of_ids == invariant ? 6 : 3;
      std::size_t const second_slice = of_table == sharded_0 ? 5 : 0, second_ids = of_ids == invariant ? 0 : 3;
      CHECK(gather({look_up(tables[0], 0, 0, rows), look_up(tables[1], second_slice, second_ids, rows)}, given) == whole);
    }
  // Where another spread of the ids or the table is refused, a rank would read rows that are not there or not whole.
  CHECK(mpx::layouts::lookup(invariant, partial) == refused);
  CHECK(mpx::layouts::lookup(varying, sharded_0) == refused);
  CHECK(mpx::layouts::lookup(replicated, invariant) == refused);
}

TEST_CASE("a loss over rows is a sum of parts where rows are apart, and whole where columns are", "[core][layout]") {
  // loss = sum over rows of (sum of the row)^2; over slices of the columns the rows' sums are summed over ranks first.
  auto const loss = [](matrix const& row_totals) {
    matrix sum{1, 1, {0}};
    for (long v : row_totals.values) sum.at(0, 0) += v * v;
    return sum;
  };
  matrix const whole = loss(row_sum(transposed(x)));
  for (spread const s : all_spreads) {
    CAPTURE(name_of(s));
    auto const parts = scatter(x, s);
    ranks totals{row_sum(transposed(parts[0])), row_sum(transposed(parts[1]))};
    if (s == sharded_1) totals[0] = totals[1] = sum_operation::forward(totals[0], totals[1]);
    ranks const losses{loss(totals[0]), loss(totals[1])};
    spread const given = mpx::layouts::loss(s);
    if (given != refused) CHECK(gather(losses, given) == whole);
    else if (s == partial) CHECK(gather(losses, partial) != whole);  // R is right in value; its gradient would be I, not P
  }
}

TEST_CASE("where ranks divide rows, what is whole is a slice of them, and its parameters have partial gradients", "[core][layout]") {
  for (spread const s : all_spreads) {
    CHECK(mpx::activation_spread(s, invariant) == s);
    CHECK(mpx::parameter_spread(s, invariant) == s);
    CHECK(mpx::activation_spread(s, sharded_0) == (s == invariant ? sharded_0 : s));
    CHECK(mpx::parameter_spread(s, sharded_0) == (s == invariant ? replicated : s));
  }
  // A block's hidden layer: gathered rows, slices of the columns, and slices of the rows of the sum.
  namespace rules = mpx::layouts;
  constexpr spread x = mpx::activation_spread(invariant, sharded_0), w = mpx::parameter_spread(invariant, sharded_0);
  CHECK(rules::linear(x, sharded_0) == refused);
  CHECK(rules::linear(rules::all_gather(x), sharded_0) == sharded_1);
  CHECK(rules::reduce_scatter(rules::linear(sharded_1, sharded_1), sharded_0) == x);
  CHECK(rules::rowwise(x, invariant) == refused);
  CHECK(rules::rowwise(x, w) == x);
  CHECK(rules::row_sum(rules::gradient(x)) == rules::gradient(w));
  CHECK(rules::update(w, rules::all_reduce(rules::gradient(w))) == w);
}

TEST_CASE("the rules of backward are those of the gradients, wherever forward is allowed", "[core][layout]") {
  namespace rules = mpx::layouts;
  for (spread const a : all_spreads)
    for (spread const c : all_spreads) {
      CAPTURE(name_of(a), name_of(c));
      if (spread const y = rules::linear(a, c); y != refused) {
        CHECK(rules::weight_gradient(rules::gradient(y), a) == rules::gradient(c));
        CHECK(rules::input_gradient(rules::gradient(y), c) == rules::gradient(a));
      }
      if (spread const y = rules::biased(a, c); y != refused) CHECK(rules::row_sum(rules::gradient(y)) == rules::gradient(c));
      if (spread const y = rules::lookup(a, c); y != refused)
        CHECK(rules::lookup_gradient(a, rules::gradient(y)) == rules::gradient(c));
      // A gradient that was reduced where it is partial is one that the optimizer takes.
      spread const g = rules::gradient(c);
      if (c == invariant || c == replicated || mpx::sharded(c))
        CHECK(rules::update(c, g == partial ? rules::all_reduce(g) : g) == c);
    }
}

TEST_CASE("a collective gives what its name says, and its backward is the other one of its pair", "[core][layout]") {
  namespace rules = mpx::layouts;
  auto const parts = scatter(x, partial);
  matrix const sum = each(parts[0], parts[1], [](long p, long q) { return p + q; });
  CHECK(gather({sum, sum}, rules::all_reduce(partial)) == x);
  CHECK(gather(scatter(x, invariant), rules::replicate(invariant)) == x);
  CHECK(gather(scatter(sum, sharded_0), rules::reduce_scatter(partial, sharded_0)) == x);
  CHECK(gather({x, x}, rules::all_gather(sharded_1)) == x);

  // all_reduce and replicate; reduce_scatter and all_gather.
  CHECK(rules::replicate(rules::gradient(rules::all_reduce(partial))) == rules::gradient(partial));
  CHECK(rules::all_reduce(rules::gradient(rules::replicate(invariant))) == rules::gradient(invariant));
  CHECK(rules::all_gather(rules::gradient(rules::reduce_scatter(partial, sharded_0))) == rules::gradient(partial));
  CHECK(rules::reduce_scatter(rules::gradient(rules::all_gather(sharded_1)), sharded_1) == rules::gradient(sharded_1));
  for (spread const s : all_spreads) {
    CHECK((rules::all_reduce(s) != refused) == (s == partial));
    CHECK((rules::replicate(s) != refused) == (s == invariant));
    CHECK((rules::all_gather(s) != refused) == (s == sharded_0 || s == sharded_1));
    CHECK((rules::reduce_scatter(s, sharded_0) != refused) == (s == partial));
  }
}

TEST_CASE("squares of slices add up, those of copies are counted once", "[core][layout]") {
  auto const squares = [](matrix const& m) {
    matrix s = numbers(1, 1, 0);
    s.at(0, 0) = 0;
    for (long v : m.values) s.at(0, 0) += v * v;
    return s;
  };
  for (spread const s : {invariant, sharded_0, sharded_1}) {
    auto const local = scatter(x, s);
    CHECK(gather({squares(local[0]), squares(local[1])}, mpx::layouts::squares(s)) == squares(x));
  }
  CHECK(mpx::layouts::squares(partial) == refused);
}

TEST_CASE("the tables of docs/layouts.md are those of the rules", "[core][layout]") {
  std::ifstream file(MPX_SOURCE_DIR "/docs/layouts.md");
  std::stringstream page;
  page << file.rdbuf();
  namespace rules = mpx::layouts;
  for (auto const& table : {table_of("multiply: y = x W^T", "W", rules::linear), table_of("add_bias: y = x + b", "b", rules::biased),
                            table_of("add: y = a + b", "b", rules::sum), table_of("product: y = a * b", "b", rules::product),
                            table_of("rows: a norm of x with weights w", "w", rules::rowwise),
                            table_of("look_up: rows of a table by ids", "table", rules::lookup),
                            table_of("update: a weight w by its gradient g", "g", rules::update)}) {
    INFO(table);
    CHECK(page.str().find(table) != std::string::npos);
  }
  auto const single = table_of_one({{"gradient", rules::gradient}, {"function", rules::function}, {"heads", rules::heads},
                                    {"row_sum", rules::row_sum}, {"loss", rules::loss}, {"squares", rules::squares},
                                    {"all_reduce", rules::all_reduce}, {"replicate", rules::replicate},
                                    {"all_gather", rules::all_gather}});
  INFO(single);
  CHECK(page.str().find(single) != std::string::npos);
}
