#include <mpx_test.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include <mpx/core/random.hpp>
#include <mpx/host/attention.hpp>

using mpx::attention_shape;
using mpx::bf16;
using mpx::f16;

namespace {

using lengths_t = std::vector<std::int32_t>;

struct sizes {
  std::size_t sequences, heads, query_tokens, key_tokens, head_width;
  bool causal = false;
  lengths_t lengths = {};
  std::size_t buckets = 0, most_distance = 0;  // of the scores' bias; 0: none
  bool scaled = true;
  std::size_t key_value_heads = 0;  // 0: as many as q has

  /// Tokens of q lie 3 elements further apart than they must, those of k and v 5.
  [[nodiscard]] attention_shape shape() const {
    std::size_t const width = heads * head_width, key_width = key_value_heads > 0 ? key_value_heads * head_width : width;
    return {sequences, heads, query_tokens, key_tokens, head_width, width + 3, key_width + 5, causal, scaled, key_value_heads};
  }
  [[nodiscard]] std::int32_t const* valid() const { return lengths.empty() ? nullptr : lengths.data(); }
};

template <class T>
std::vector<T> values(std::size_t n, unsigned stream) {
  std::vector<T> out;
  for (unsigned i = 0; i < n; ++i) out.push_back(T(4.0f * mpx::uniform(mpx::philox({i, stream, 0, 0}, 11)[0]) - 2.0f));
  return out;
}

/// Operands and results of both directions. Results begin as NaN: whatever is not written shows.
template <class T>
struct problem {
  using A = mpx::accumulator_t<T>;
  attention_shape s;
  mpx::relative_buckets buckets;
  std::vector<T> q, k, v, d_o, bias, o, dq, dk, dv;
  std::vector<A> lse, delta, dq_sum, d_bias;

  explicit problem(sizes const& z)
      : s(z.shape()),
        buckets(z.buckets > 0 ? mpx::relative_buckets(z.buckets, z.most_distance, !z.causal) : mpx::relative_buckets()),
        q(values<T>(s.sequences * s.query_tokens * s.query_stride, 1)),
        k(values<T>(s.sequences * s.key_tokens * s.key_stride, 2)),
        v(values<T>(s.sequences * s.key_tokens * s.key_stride, 3)),
        d_o(values<T>(s.sequences * s.query_tokens * s.heads * s.head_width, 4)),
        bias(values<T>(z.buckets * s.heads, 5)) {
    clear();
  }

  void clear() {
    T const nan(std::numeric_limits<float>::quiet_NaN());
    o.assign(d_o.size(), nan);
    dq.assign(q.size(), nan);
    dk.assign(k.size(), nan);
    dv.assign(v.size(), nan);
    lse.assign(s.sequences * s.query_tokens * s.heads, A(nan));
    delta = lse;
    dq_sum.assign(d_o.size(), A(nan));
    d_bias.assign(bias.size(), A(0));  // this one is added to
  }
  [[nodiscard]] mpx::score_bias<T> added() const { return {bias.empty() ? nullptr : bias.data(), buckets}; }

  void forward(std::int32_t const* lengths) {
    mpx::on_host::attention_forward(s, o.data(), lse.data(), q.data(), k.data(), v.data(), lengths,
                                    added());
  }
  void backward(std::int32_t const* lengths) {
    mpx::on_host::attention_backward(s, dq.data(), dk.data(), dv.data(), dq_sum.data(), delta.data(), d_o.data(),
                                     o.data(), lse.data(), q.data(), k.data(), v.data(), lengths, added(),
                                     d_bias.data());
  }
  [[nodiscard]] double loss() const {
    double sum = 0;
    for (std::size_t i = 0; i < o.size(); ++i) sum += static_cast<double>(o[i]) * static_cast<double>(d_o[i]);
    return sum;
  }
};

/// The definition, in f64, over all keys at once.
std::vector<double> expected(problem<double> const& p, std::int32_t const* lengths) {
  auto const& s = p.s;
  std::size_t const width = s.heads * s.head_width;
  std::vector<double> o(s.sequences * s.query_tokens * width, 0.0);
  for (std::size_t b = 0; b < s.sequences; ++b)
    for (std::size_t h = 0; h < s.heads; ++h)
      for (std::size_t i = 0; i < s.query_tokens; ++i) {
        double sum = 0;
        double* const out = &o[(b * s.query_tokens + i) * width + h * s.head_width];
        for (std::size_t j = 0; j < s.key_tokens; ++j) {
          if ((s.causal && j > i) || (lengths != nullptr && static_cast<std::int32_t>(j) >= lengths[b])) continue;
          double const* const q = &p.q[(b * s.query_tokens + i) * s.query_stride + h * s.head_width];
          std::size_t const key = (b * s.key_tokens + j) * s.key_stride + h / s.group() * s.head_width;
          double const *const k = &p.k[key], *const v = &p.v[key];
          double score = 0;
          for (std::size_t d = 0; d < s.head_width; ++d) score += q[d] * k[d];
          if (s.scaled) score /= std::sqrt(static_cast<double>(s.head_width));
          auto const distance = static_cast<std::int64_t>(j) - static_cast<std::int64_t>(i);
          if (!p.bias.empty()) score += p.bias[p.buckets(distance) * s.heads + h];
          double const e = std::exp(score);
          sum += e;
          for (std::size_t d = 0; d < s.head_width; ++d) out[d] += e * v[d];
        }
        for (std::size_t d = 0; d < s.head_width && sum > 0; ++d) out[d] /= sum;
      }
  return o;
}

double largest_difference(std::vector<double> const& a, std::vector<double> const& b) {
  double worst = a.size() == b.size() ? 0 : 1e300;
  for (std::size_t i = 0; i < a.size(); ++i) worst = std::abs(a[i] - b[i]) <= worst ? worst : std::abs(a[i] - b[i]);
  return worst;
}

/// ||a - b|| / ||b|| over the columns that belong to heads.
template <class T>
double relative_error(std::vector<T> const& a, std::vector<double> const& b, std::size_t stride, std::size_t width) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (i % stride >= width) continue;
    difference += std::pow(static_cast<double>(a[i]) - b[i], 2);
    norm += b[i] * b[i];
  }
  return std::sqrt(difference / norm);
}

template <class T>
std::vector<double> as_f64(std::vector<T> const& from) {
  std::vector<double> to;
  for (T const x : from) to.push_back(static_cast<double>(x));
  return to;
}

sizes const tails[] = {
    {1, 1, 1, 1, 1},
    {2, 2, 5, 7, 3},
    {1, 2, 8, 8, 32},
    {2, 1, 17, 65, 20},
    {1, 1, 64, 64, 64},
    {1, 2, 70, 130, 40, false, {129}},
    {3, 2, 9, 9, 8, false, {0, 4, 9}},
    {1, 1, 5, 5, 4, true},
    {1, 2, 130, 130, 24, true},
    {2, 1, 100, 100, 16, true, {70, 3}},
    {2, 1, 66, 3, 16, true},
    {2, 1, 3, 66, 16, true},
    {1, 1, 20, 20, 256},
    {2, 2, 5, 7, 3, false, {}, 8, 20},
    {1, 3, 70, 130, 40, false, {129}, 32, 128, false},
    {1, 1, 260, 260, 8, false, {}, 32, 128},
    {2, 2, 130, 130, 24, true, {}, 32, 128},
    {2, 1, 100, 100, 16, true, {70, 3}, 12, 30, false},
    {1, 2, 66, 3, 16, true, {}, 4, 3},
    {2, 4, 5, 7, 3, false, {}, 0, 0, true, 2},
    {1, 6, 130, 130, 24, true, {}, 0, 0, true, 2},
    {2, 3, 70, 100, 16, false, {70, 3}, 32, 128, false, 1},
};

template <class T>
void check_against_f64(double bound) {
  for (auto const& z : tails) {
    problem<T> p(z);
    problem<double> exact(z);
    exact.q = as_f64(p.q);
    exact.k = as_f64(p.k);
    exact.v = as_f64(p.v);
    exact.d_o = as_f64(p.d_o);
    exact.bias = as_f64(p.bias);
    exact.forward(z.valid());
    exact.backward(z.valid());
    p.forward(z.valid());
    p.backward(z.valid());
    std::size_t const width = p.s.heads * p.s.head_width, key_width = width / p.s.group();
    INFO(z.query_tokens << " queries, " << z.key_tokens << " keys, head width " << z.head_width);
    CHECK(relative_error(p.o, exact.o, width, width) < bound);
    CHECK(relative_error(p.dv, exact.dv, p.s.key_stride, key_width) < bound);
    if (z.key_tokens == 1) continue;  // softmax over one key has no gradient
    CHECK(relative_error(p.dq, exact.dq, p.s.query_stride, width) < 2 * bound);
    CHECK(relative_error(p.dk, exact.dk, p.s.key_stride, key_width) < 2 * bound);
    if (!p.bias.empty()) CHECK(relative_error(p.d_bias, exact.d_bias, 1, 1) < 2 * bound);
  }
}

template <class T>
bool same_bits(std::vector<T> const& a, std::vector<T> const& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

}  // namespace

TEST_CASE("attention gives the definition for all tails, masks and lengths", "[host][attention]") {
  for (auto const& z : tails) {
    INFO(z.query_tokens << " queries, " << z.key_tokens << " keys, head width " << z.head_width);
    problem<double> p(z);
    p.forward(z.valid());
    CHECK(largest_difference(p.o, expected(p, z.valid())) < 1e-13);
  }
}

TEST_CASE("attention to two equal keys is the mean of their values", "[host][attention]") {
  attention_shape const s{1, 1, 1, 2, 1, 1, 1, false};
  float const q = 1.0f, k[] = {2.0f, 2.0f}, v[] = {1.0f, 3.0f};
  float o = 0, lse = 0;
  mpx::on_host::attention_forward(s, &o, &lse, &q, k, v, nullptr);
  CHECK(o == 2.0f);
  CHECK(lse == Approx(2.0 + std::log(2.0)));
}

TEST_CASE("attention's gradient is the central difference of its forward", "[host][attention]") {
  for (sizes const& z : {sizes{2, 2, 5, 7, 3}, sizes{1, 1, 6, 6, 4, true}, sizes{2, 1, 4, 6, 2, false, {3, 0}},
                         sizes{1, 1, 66, 66, 3, true, {65}}, sizes{2, 2, 5, 7, 3, false, {}, 8, 4, false},
                         sizes{1, 2, 70, 70, 2, true, {}, 12, 30}, sizes{1, 1, 40, 70, 2, false, {66}, 32, 128},
                         sizes{2, 4, 5, 7, 3, false, {}, 0, 0, true, 2}, sizes{1, 3, 70, 70, 2, true, {}, 12, 30, true, 1}}) {
    problem<double> p(z);
    p.forward(z.valid());
    p.backward(z.valid());
    std::size_t const width = p.s.heads * p.s.head_width, key_width = width / p.s.group();
    auto const check = [&](std::vector<double>& x, std::vector<double> const& dx, std::size_t stride, std::size_t used) {
      double const step = 1e-5;
      double worst = 0;
      for (std::size_t i = 0; i < x.size(); i += x.size() > 100 ? 13 : 1) {
        if (i % stride >= used) continue;  // between the heads' rows
        double const kept = x[i];
        x[i] = kept + step;
        p.forward(z.valid());
        double const up = p.loss();
        x[i] = kept - step;
        p.forward(z.valid());
        double const down = p.loss();
        x[i] = kept;
        double const off = std::abs((up - down) / (2 * step) - dx[i]);
        worst = off <= worst ? worst : off;
      }
      CHECK(worst < 1e-8);
    };
    check(p.q, p.dq, p.s.query_stride, width);
    check(p.k, p.dk, p.s.key_stride, key_width);
    check(p.v, p.dv, p.s.key_stride, key_width);
    check(p.bias, p.d_bias, 1, 1);
  }
}

TEST_CASE("attention without scale over equal scores weighs keys by their bias", "[host][attention]") {
  // Buckets of both ways: 0 the query's own token, 1 all before it, 3 all behind it; distance 0 has no bucket 2.
  attention_shape const s{1, 1, 3, 3, 1, 1, 1, false, false};
  mpx::relative_buckets const buckets(4, 3, true);
  float const q[] = {0.0f, 0.0f, 0.0f}, k[] = {7.0f, 8.0f, 9.0f}, v[] = {1.0f, 0.0f, 0.0f};
  float const weight[] = {std::log(2.0f), std::log(3.0f), std::log(5.0f), std::log(5.0f)};
  float o[3], lse[3];
  mpx::on_host::attention_forward(s, o, lse, q, k, v, nullptr, {weight, buckets});
  CHECK(buckets(1) == 3);
  CHECK(o[0] == Approx(2.0 / (2 + 5 + 5)));
  CHECK(o[1] == Approx(3.0 / (3 + 2 + 5)));
  CHECK(o[2] == Approx(3.0 / (3 + 3 + 2)));
  CHECK(lse[1] == Approx(std::log(10.0)));
}

TEST_CASE("a bias's gradient is added to what is there", "[host][attention]") {
  problem<double> p({1, 2, 5, 5, 3, false, {}, 8, 4});
  p.forward(nullptr);
  p.backward(nullptr);
  auto const once = p.d_bias;
  p.backward(nullptr);
  for (std::size_t i = 0; i < once.size(); ++i) CHECK(p.d_bias[i] == Approx(2 * once[i]));
  CHECK(std::any_of(once.begin(), once.end(), [](double x) { return x != 0; }));
}

TEST_CASE("attention in f32 is within 2e-6 of f64", "[host][attention]") { check_against_f64<float>(2e-6); }

TEST_CASE("attention in bf16 and f16 differs from f64 by its rounding", "[host][attention]") {
  check_against_f64<bf16>(0.006);   // unit roundoff 2^-9
  check_against_f64<f16>(0.00075);  // unit roundoff 2^-12
}

TEST_CASE("attention writes every element of its results, and nothing between the heads' rows", "[host][attention]") {
  for (auto const& z : tails) {
    problem<float> p(z);
    p.forward(z.valid());
    p.backward(z.valid());
    auto const wrong = [&](std::vector<float> const& x, std::size_t stride, std::size_t used) {
      std::size_t count = 0;
      for (std::size_t i = 0; i < x.size(); ++i) count += (i % stride < used) == std::isnan(x[i]);
      return count;
    };
    std::size_t const width = p.s.heads * p.s.head_width, key_width = width / p.s.group();
    CHECK(wrong(p.o, width, width) == 0);
    CHECK(wrong(p.dq, p.s.query_stride, width) == 0);
    CHECK(wrong(p.dk, p.s.key_stride, key_width) == 0);
    CHECK(wrong(p.dv, p.s.key_stride, key_width) == 0);
    CHECK(std::none_of(p.lse.begin(), p.lse.end(), [](float x) { return std::isnan(x); }));
  }
}

TEST_CASE("a sequence of length 0 attends to nothing and gets no gradient", "[host][attention]") {
  sizes const z{2, 1, 3, 3, 2, false, {0, 3}};
  problem<float> p(z);
  p.forward(z.valid());
  p.backward(z.valid());
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t d = 0; d < 2; ++d) {
      CHECK(p.o[i * 2 + d] == 0.0f);
      CHECK(p.dq[i * p.s.query_stride + d] == 0.0f);
      CHECK(p.dk[i * p.s.key_stride + d] == 0.0f);
      CHECK(p.dv[i * p.s.key_stride + d] == 0.0f);
    }
}

TEST_CASE("attention gives the same bits again, and for a sequence alone as in company", "[host][attention]") {
  sizes const together{2, 2, 130, 130, 40, true, {}, 32, 128};
  sizes const alone{1, 2, 130, 130, 40, true, {}, 32, 128};
  problem<float> p(together), first(alone);
  p.forward(nullptr);
  p.backward(nullptr);
  auto const once = p;
  p.clear();
  p.forward(nullptr);
  p.backward(nullptr);
  CHECK(same_bits(p.o, once.o));
  CHECK(same_bits(p.dq, once.dq));
  CHECK(same_bits(p.dk, once.dk));
  CHECK(same_bits(p.dv, once.dv));
  CHECK(same_bits(p.d_bias, once.d_bias));

  first.forward(nullptr);  // its operands are the first sequence's
  first.backward(nullptr);
  for (auto* x : {&p.o, &p.dq, &p.dk, &p.dv}) x->resize(x->size() / 2);
  CHECK(same_bits(p.o, first.o));
  CHECK(same_bits(p.dq, first.dq));
  CHECK(same_bits(p.dk, first.dk));
  CHECK(same_bits(p.dv, first.dv));
}

TEST_CASE("heads that share keys and values compute what heads with copies of them do", "[host][attention]") {
  problem<float> shared({2, 4, 70, 100, 8, false, {}, 0, 0, true, 2}), copied({2, 4, 70, 100, 8});
  auto const copy = [&](std::vector<float> const& from, std::vector<float>& to) {
    for (std::size_t t = 0; t < 2 * 100; ++t)
      for (std::size_t i = 0; i < 4 * 8; ++i) to[t * copied.s.key_stride + i] = from[t * shared.s.key_stride + i / 16 * 8 + i % 8];
  };
  copy(shared.k, copied.k);
  copy(shared.v, copied.v);
  for (auto* p : {&shared, &copied}) {
    p->forward(nullptr);
    p->backward(nullptr);
  }
  CHECK(same_bits(shared.o, copied.o));
  CHECK(same_bits(shared.dq, copied.dq));
  // The gradient of what is shared is the sum of those of its copies.
  for (std::size_t t = 0; t < 2 * 100; ++t)
    for (std::size_t i = 0; i < 2 * 8; ++i) {
      float const* const of_copies = &copied.dk[t * copied.s.key_stride + i / 8 * 16 + i % 8];
      CHECK(shared.dk[t * shared.s.key_stride + i] == Approx(of_copies[0] + of_copies[8]).margin(1e-5));
    }
}

TEST_CASE("attention carries a NaN into its result", "[host][attention]") {
  sizes const z{1, 1, 4, 4, 2};
  problem<float> p(z);
  p.k[0] = std::numeric_limits<float>::quiet_NaN();
  p.forward(nullptr);
  CHECK(std::isnan(p.o[0]));
}

TEST_CASE("attention refuses a head wider than its tiles", "[host][attention]") {
  problem<float> p({1, 1, 1, 1, 257});
  CHECK_THROWS_AS(p.forward(nullptr), mpx::error);
  CHECK_THROWS_AS(p.backward(nullptr), mpx::error);
}
