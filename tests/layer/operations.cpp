// Mirrors include/mpx/layer/operations.hpp: two and three ranks, in whole numbers. Refusals: tests/compile_fail.
#include <mpx/layer/operations.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <thread>
#include <vector>

#include <mpx/host/backend.hpp>

#include <mpx_test.hpp>

namespace {

using enum mpx::spread;
using group = mpx::on_host::group;
template <std::size_t N>
using ranks_of = mpx::layer_context<mpx::on_host::machine, float, mpx::rank_of<group, N>>;
using alone = mpx::layer_context<mpx::on_host::machine, float>;

template <mpx::spread Over, class T = float const>
using activation = mpx::tensor_view<T, mpx::activation_layout(Over)>;
template <mpx::spread Over>
using parameter = mpx::tensor_view<float const, mpx::parameter_layout(Over)>;

constexpr mpx::extents two_rows(std::size_t ranks) { return {1, {0, 2}, ranks}; }

/// Runs f(context, rank) on a thread for each of N tensor ranks.
template <std::size_t N, class F>
void on_ranks(F f) {
  group all("tensor ranks", static_cast<int>(N), std::chrono::seconds(10));
  std::vector<std::thread> threads;
  for (std::size_t r = 0; r < N; ++r)
    threads.emplace_back([&all, f, r] {
      mpx::on_host::machine machine;
      mpx::scratch_space scratch;
      mpx::step_values const step;
      ranks_of<N> const c{machine, scratch, step, two_rows(N), two_rows(N), 0, 0, {}, {}, {&all, static_cast<int>(r)}};
      f(c, r);
    });
  for (auto& t : threads) t.join();
}

/// The same where ranks divide three rows, with scratch for one tensor of 2 columns: on two ranks, one row and two.
template <std::size_t N, class F>
void on_ranks_with_slices(F f) {
  group all("tensor ranks", static_cast<int>(N), std::chrono::seconds(10));
  std::vector<std::thread> threads;
  for (std::size_t r = 0; r < N; ++r)
    threads.emplace_back([&all, f, r] {
      mpx::on_host::machine machine;
      alignas(64) std::byte memory[64];
      mpx::scratch_space scratch(memory, sizeof memory);
      mpx::step_values const step;
      mpx::extents const three{1, {0, 3}, N, sharded_0};
      mpx::layer_context<mpx::on_host::machine, float, mpx::rank_of<group, N, sharded_0>> const c{
          machine, scratch, step, three, three, 0, 0, {}, {}, {&all, static_cast<int>(r)}};
      f(c, r);
    });
  for (auto& t : threads) t.join();
}

/// The same on one rank, which has everything.
template <class F>
void on_one_rank(F f) {
  mpx::on_host::machine machine;
  mpx::scratch_space scratch;
  mpx::step_values const step;
  f(alone{machine, scratch, step, two_rows(1), two_rows(1)});
}

// x: [2, 4], w: [3, 4], b: [3]; y = x w^T + b
std::vector<float> const x{1, 2, 3, 4, 5, 6, 7, 8}, w{1, 0, 2, 0, 0, 1, 0, -1, 3, 1, 1, 2}, b{10, 20, 30};
std::vector<float> const product{7, -2, 16, 19, -2, 44}, with_bias{17, 18, 46, 29, 18, 74};

/// The columns of a matrix with this many of them that a rank of N has.
std::vector<float> columns(std::vector<float> const& m, std::size_t width, std::size_t n, std::size_t rank) {
  std::size_t const share = width / n;
  std::vector<float> out;
  for (std::size_t i = 0; i < m.size(); ++i)
    if (i % width / share == rank) out.push_back(m[i]);
  return out;
}

}  // namespace

TEST_CASE("all_reduce gives every rank the sum, and one rank what it has", "[layer][operations]") {
  std::vector<std::vector<float>> parts{{1, 2}, {10, 20}, {100, 200}};
  on_ranks<3>([&](auto const& c, std::size_t r) {
    auto const sum = mpx::all_reduce(c, activation<partial, float>{parts[r].data()}, 2);
    static_assert(std::same_as<decltype(sum), activation<invariant, float> const>);
    if (sum.data != parts[r].data()) parts[r].clear();  // in place
  });
  for (auto const& p : parts) CHECK(p == std::vector<float>{111, 222});
  on_one_rank([](auto const& c) {
    float one[] = {3, 4};
    CHECK(mpx::all_reduce(c, activation<partial, float>{one}, 2).data == one);
    CHECK((one[0] == 3 && one[1] == 4));
  });
}

TEST_CASE("replicate moves nothing: each rank uses its part of one value", "[layer][operations]") {
  auto const same = mpx::replicate(activation<invariant>{x.data()});
  static_assert(std::same_as<decltype(same), activation<replicated> const>);
  CHECK(same.data == x.data());
}

TEST_CASE("slices of the outputs are columns of the product, with their part of the bias", "[layer][operations]") {
  std::vector<std::vector<float>> y(3, std::vector<float>(2));
  on_ranks<3>([&](auto const& c, std::size_t r) {
    auto const given =
        mpx::multiply(c, y[r].data(), mpx::replicate(activation<invariant>{x.data()}),
                      parameter<sharded_0>{w.data() + 4 * r}, parameter<sharded_0>{b.data() + r}, {2, 1, 4});
    static_assert(std::same_as<decltype(given), activation<sharded_1, float> const>);
  });
  for (std::size_t r = 0; r < 3; ++r) CHECK(y[r] == columns(with_bias, 3, 3, r));
}

TEST_CASE("slices of the inputs add up to the product, to which the bias is added once", "[layer][operations]") {
  std::vector<std::vector<float>> y(2, std::vector<float>(6)), biased = y;
  on_ranks<2>([&](auto const& c, std::size_t r) {
    auto const own_x = columns(x, 4, 2, r), own_w = columns(w, 4, 2, r);
    activation<sharded_1> const from{own_x.data()};
    parameter<sharded_1> const by{own_w.data()};
    auto const sum = mpx::multiply_reduced(c, y[r].data(), from, by, {2, 3, 2});
    static_assert(std::same_as<decltype(sum), activation<invariant, float> const>);
    mpx::multiply_reduced(c, biased[r].data(), from, by, parameter<invariant>{b.data()}, {2, 3, 2});
  });
  for (std::size_t r = 0; r < 2; ++r) {
    CHECK(y[r] == product);
    CHECK(biased[r] == with_bias);
  }
  on_one_rank([](auto const& c) {
    std::vector<float> whole(6);
    mpx::multiply_reduced(c, whole.data(), activation<sharded_1>{x.data()}, parameter<sharded_1>{w.data()},
                          parameter<invariant>{b.data()}, {2, 3, 4});
    CHECK(whole == with_bias);
  });
}

TEST_CASE("the gradient of an input that all slices of the outputs read is their sum", "[layer][operations]") {
  // dy: [2, 3]; dx = dy w is [2, 4].
  std::vector<float> const dy{1, 2, 3, -1, 0, 1};
  std::vector<std::vector<float>> dx(3, std::vector<float>(8));
  on_ranks<3>([&](auto const& c, std::size_t r) {
    auto const own = columns(dy, 3, 3, r);
    auto const part = mpx::multiply_back(c, dx[r].data(), activation<sharded_1>{own.data()},
                                         parameter<sharded_0>{w.data() + 4 * r}, {2, 1, 4});
    static_assert(std::same_as<decltype(part), activation<partial, float> const>);
    mpx::all_reduce(c, part, 8);
  });
  for (auto const& one : dx) CHECK(one == std::vector<float>{10, 5, 5, 4, 2, 1, -1, 2});
}

TEST_CASE("a slice's weight and bias gradients are that slice of the whole's", "[layer][operations]") {
  // dw = dy^T x, [3, 4]; db = the sum of dy's rows. Both are added to.
  std::vector<float> const dy{1, 2, 3, -1, 0, 1};
  std::vector<float> const whole{-4, -4, -4, -4, 2, 4, 6, 8, 8, 12, 16, 20}, bias{0, 2, 4};
  std::vector<std::vector<float>> dw(3, std::vector<float>(4, 100)), db(3, std::vector<float>(1, 100));
  on_ranks<3>([&](auto const& c, std::size_t r) {
    auto const own = columns(dy, 3, 3, r);
    activation<sharded_1> const from{own.data()};
    constexpr mpx::layout slice = mpx::gradient_layout(mpx::parameter_layout(sharded_0));
    mpx::add_weight_gradient(c, mpx::tensor_view<float, slice>{dw[r].data()}, from,
                             mpx::replicate(activation<invariant>{x.data()}), {2, 1, 4});
    mpx::add_row_sum(c, mpx::tensor_view<float, slice>{db[r].data()}, from, 2, 1);
  });
  for (std::size_t r = 0; r < 3; ++r) {
    for (std::size_t i = 0; i < 4; ++i) CHECK(dw[r][i] == 100 + whole[4 * r + i]);
    CHECK(db[r][0] == 100 + bias[r]);
  }
}

TEST_CASE("slices of the rows are gathered, and sums are left in slices", "[layer][operations]") {
  std::vector<float> const rows{1, 2, 3, 4, 5, 6};  // [3, 2]
  std::vector<std::vector<float>> all(2, std::vector<float>(6)), sums(2);
  std::size_t taken[2] = {};
  on_ranks_with_slices<2>([&](auto const& c, std::size_t r) {
    auto const slice = c.rows_of(mpx::axis::target, invariant);
    mpx::with_all_rows(c, activation<sharded_0>{rows.data() + 2 * slice.first}, mpx::axis::target, 2, [&](auto whole) {
      static_assert(std::same_as<decltype(whole), activation<replicated, float>>);
      all[r].assign(whole.data, whole.data + 6);
    });
    sums[r].resize(2 * slice.count);
    auto const given = mpx::reduced(c, sums[r].data(), mpx::axis::target, 2, [&](float* part) {
      for (std::size_t i = 0; i < 6; ++i) part[i] = static_cast<float>(r + 1) * rows[i];
      return activation<partial, float>{part};
    });
    static_assert(std::same_as<decltype(given), activation<sharded_0, float> const>);
    taken[r] = c.scratch.high_water();
  });
  for (std::size_t r = 0; r < 2; ++r) {
    CHECK(all[r] == rows);
    CHECK(taken[r] == 64);  // one tensor at a time
  }
  CHECK(sums[0] == std::vector<float>{3, 6});
  CHECK(sums[1] == std::vector<float>{9, 12, 15, 18});
}

TEST_CASE("a bias is added to a rank's own rows of a reduced product", "[layer][operations]") {
  std::vector<float> const left{1, 2, 3}, right{10, 20, 30}, one{1, 1}, added{100, 200};  // [3, 1] each; w: [2, 1]
  std::vector<std::vector<float>> y(2);
  on_ranks_with_slices<2>([&](auto const& c, std::size_t r) {
    y[r].resize(2 * c.row_count(mpx::axis::target, invariant));
    mpx::multiply_reduced(c, y[r].data(), activation<sharded_1>{(r == 0 ? left : right).data()}, parameter<sharded_1>{one.data()},
                          parameter<replicated>{added.data()}, {3, 2, 1});
  });
  CHECK(y[0] == std::vector<float>{111, 211});
  CHECK(y[1] == std::vector<float>{122, 222, 133, 233});
}

TEST_CASE("a slice of the rows is runs of tokens: an end, whole sequences, a beginning", "[layer][operations]") {
  struct seen {
    std::size_t before, sequence, token, sequences, tokens;
    bool operator==(seen const&) const = default;
  };
  auto const runs = [](mpx::row_slice slice, std::size_t tokens) {
    std::vector<seen> list;
    mpx::each_run(slice, tokens, [&](mpx::run_of_rows const& run) {
      list.push_back({run.before, run.sequence, run.token, run.sequences, run.tokens});
    });
    return list;
  };
  // Sequences of 5 tokens: row 3 is token 3 of the first, row 16 token 1 of the fourth.
  CHECK(runs({3, 14}, 5) == std::vector<seen>{{0, 0, 3, 1, 2}, {2, 1, 0, 2, 5}, {12, 3, 0, 1, 2}});
  CHECK(runs({6, 2}, 5) == std::vector<seen>{{0, 1, 1, 1, 2}});  // within one sequence
  CHECK(runs({0, 15}, 5) == std::vector<seen>{{0, 0, 0, 3, 5}});  // all rows
  CHECK(runs({5, 0}, 5).empty());
  CHECK(runs({0, 0}, 0).empty());
}
