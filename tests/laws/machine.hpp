// What every machine does with rows, elements and attention is what a host device does, up to the order of sums.
//
// A machine M and its memory are asked through `Backend`; the host's machine is asked the same, and the results compared:
// element by element, where nothing is added up and nothing but the machine's own rounding enters, else by the relative
// Frobenius error. Results begin as NaN: what is not written shows.
#pragma once

#include <mpx_test.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include <mpx/core/random.hpp>
#include <mpx/host/machine.hpp>
#include <mpx/kernels/activation.hpp>
#include <mpx/optim/decision.hpp>
#include <mpx/policy/optimizer.hpp>

namespace laws {

/// Sums in f32 in another order, and functions of a few ulp.
inline constexpr double other_order = 4e-6;
/// Results of T are rounded once: where the sums differ, a value may fall to the other side. Half of them never do.
template <class T>
inline constexpr double rounded = std::is_same_v<T, float> ? other_order : std::is_same_v<T, mpx::bf16> ? 0x1p-9 : 0x1p-12;

template <class T>
std::vector<T> numbers(std::size_t n, std::uint32_t stream, float scale = 1.0f) {
  std::vector<T> out(n);
  for (std::size_t i = 0; i < n; ++i)
    out[i] = T(scale * (2.0f * mpx::uniform(mpx::philox({static_cast<std::uint32_t>(i), stream, 0, 0}, 5)[0]) - 1.0f));
  return out;
}
template <class T>
std::vector<T> nothing(std::size_t n) {
  return std::vector<T>(n, T(std::numeric_limits<float>::quiet_NaN()));
}
inline std::vector<std::int32_t> some_ids(std::size_t n, std::size_t below, std::uint32_t stream) {
  std::vector<std::int32_t> out(n);
  for (std::size_t i = 0; i < n; ++i)
    out[i] = static_cast<std::int32_t>(mpx::philox({static_cast<std::uint32_t>(i), stream, 0, 0}, 9)[0] % below);
  return out;
}

/// Relative Frobenius error; NaN where one of them has one. Relative to `least` where b is smaller: what is left of numbers
/// that cancel is as exact as they were, not as what is left.
template <class T>
double distance(std::vector<T> const& a, std::vector<T> const& b, double least = 0) {
  double off = 0, size = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    double const x = static_cast<double>(static_cast<float>(a[i])), y = static_cast<double>(static_cast<float>(b[i]));
    off += (x - y) * (x - y);
    size += y * y;
  }
  size = std::max(std::sqrt(size), least);
  return off == 0 ? 0 : std::sqrt(off) / (size > 0 ? size : 1);
}
/// Frobenius norm of `sums` sums of |x[i * sum_stride + k * term_stride]| over `terms` k.
template <class T>
double size_of_sums(std::vector<T> const& x, std::size_t sums, std::size_t sum_stride, std::size_t terms, std::size_t term_stride) {
  double size = 0;
  for (std::size_t i = 0; i < sums; ++i) {
    double sum = 0;
    for (std::size_t k = 0; k < terms; ++k)
      sum += std::abs(static_cast<double>(static_cast<float>(x[i * sum_stride + k * term_stride])));
    size += sum * sum;
  }
  return std::sqrt(size);
}
/// Over each row's columns, or over each column's rows.
template <class T>
double size_of_row_sums(std::vector<T> const& x, std::size_t rows, std::size_t width) {
  return size_of_sums(x, rows, width, width, 1);
}
template <class T>
double size_of_column_sums(std::vector<T> const& x, std::size_t rows, std::size_t width) {
  return size_of_sums(x, width, 1, rows, width);
}
template <class T>
bool same_bits(std::vector<T> const& a, std::vector<T> const& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

/// A tensor in a machine's memory and the same one of the host's.
template <class Backend, class T>
class twin {
 public:
  twin(typename Backend::machine& machine, std::vector<T> const& values)
      : host(values), machine_(machine), memory_(values.size() * sizeof(T)) {
    machine.upload(memory_.data(), values.data(), values.size() * sizeof(T));
  }
  [[nodiscard]] T* data() { return reinterpret_cast<T*>(memory_.data()); }
  [[nodiscard]] T const* in() { return data(); }
  [[nodiscard]] T const* host_in() const { return host.data(); }
  [[nodiscard]] std::vector<T> read() {
    std::vector<T> out(host.size());
    machine_.download(out.data(), memory_.data(), out.size() * sizeof(T));
    return out;
  }
  void check(double bound, char const* what, double least = 0) {
    double const off = distance(read(), host, least);
    INFO(what << ": relative error " << off);
    CHECK(off <= bound);
  }
  void check_bits(char const* what) {
    INFO(what);
    CHECK(same_bits(read(), host));
  }

  std::vector<T> host;

 private:
  typename Backend::machine& machine_;
  typename Backend::memory memory_;
};

/// Operations over elements: those that round once and add nothing up give the host's very bits.
template <class Backend, class T>
void elements_agree(std::size_t n) {
  using A = mpx::accumulator_t<T>;
  typename Backend::machine m;
  mpx::on_host::machine host;
  INFO("elements " << n);
  twin<Backend, T> x(m, numbers<T>(n, 1, 3.0f)), y(m, numbers<T>(n, 2, 3.0f)), out(m, nothing<T>(n));
  twin<Backend, A> wide(m, numbers<A>(n, 3));
  m.cast(out.data(), wide.in(), n);
  host.cast(out.host.data(), wide.host_in(), n);
  out.check_bits("cast");
  twin<Backend, float> floats(m, nothing<float>(n));
  m.widen(floats.data(), x.in(), n);
  host.widen(floats.host.data(), x.host_in(), n);
  floats.check_bits("widen");
  m.add(y.data(), x.in(), n);
  host.add(y.host.data(), x.host_in(), n);
  y.check_bits("add");
  m.scale(out.data(), x.in(), A(0.3f), n);
  host.scale(out.host.data(), x.host_in(), A(0.3f), n);
  out.check_bits("scale");
  m.copy(out.data(), y.in(), n * sizeof(T));
  host.copy(out.host.data(), y.host_in(), n * sizeof(T));
  out.check_bits("copy");
  auto const activation = [&]<class F>(F*, char const* name) {
    INFO(name);
    m.template activation_forward<F>(out.data(), x.in(), n);
    host.template activation_forward<F>(out.host.data(), x.host_in(), n);
    out.check(rounded<T>, "forward");
    m.template activation_backward<F>(out.data(), y.in(), x.in(), n);
    host.template activation_backward<F>(out.host.data(), y.host_in(), x.host_in(), n);
    out.check(rounded<T>, "backward");
  };
  activation(static_cast<mpx::relu*>(nullptr), "relu");
  activation(static_cast<mpx::gelu*>(nullptr), "gelu");
  activation(static_cast<mpx::gelu_tanh*>(nullptr), "gelu_tanh");
  activation(static_cast<mpx::silu*>(nullptr), "silu");
  m.relu_dropout_backward(out.data(), y.in(), x.in(), A(1.25f), n);
  host.relu_dropout_backward(out.host.data(), y.host_in(), x.host_in(), A(1.25f), n);
  out.check_bits("relu_dropout_backward");
  twin<Backend, std::int32_t> ids(m, std::vector<std::int32_t>(n, 7));
  m.fill_ids(ids.data(), -1, n);
  host.fill_ids(ids.host.data(), -1, n);
  ids.check_bits("fill_ids");
  m.zero(out.data(), n * sizeof(T));
  host.zero(out.host.data(), n * sizeof(T));
  out.check_bits("zero");
}

/// Squares, portion by portion: as the host's, and in the very bits that a portion has alone.
template <class Backend>
void squares_agree(std::size_t n, std::size_t portion) {
  typename Backend::machine m;
  mpx::on_host::machine host;
  INFO("elements " << n << ", portion " << portion);
  std::size_t const portions = (n + portion - 1) / portion, stride = 3;
  twin<Backend, float> x(m, numbers<float>(n, 1, 2.0f));
  // What stands before the squares is added to, what stands between them stays.
  std::vector<float> sums(stride * portions + 1, 2.0f), host_sums = sums, alone = sums;
  m.add_squares(sums.data(), stride, x.in(), n, portion);
  m.add_squares(sums.data(), stride, x.in(), n, portion);
  m.finish();
  host.add_squares(host_sums.data(), stride, x.host_in(), n, portion);
  host.add_squares(host_sums.data(), stride, x.host_in(), n, portion);
  for (std::size_t i = 0; i < sums.size(); ++i)
    if (i % stride == 0 && i < stride * portions) CHECK(sums[i] == Approx(host_sums[i]).epsilon(other_order));
    else CHECK((sums[i] == 2.0f && host_sums[i] == 2.0f));
  for (std::size_t p = 0; p < portions; ++p)
    for (int twice = 0; twice < 2; ++twice)
      m.add_squares(&alone[p * stride], 1, x.in() + p * portion, std::min(portion, n - p * portion), portion);
  m.finish();
  CHECK(same_bits(sums, alone));
}

/// One step of each optimizer, with a bound on each element and without.
template <class Backend, class T, class Optimizer, class Clipping>
void update_agrees(std::size_t n) {
  using A = mpx::accumulator_t<T>;
  constexpr auto count = static_cast<std::size_t>(Optimizer::states);
  typename Backend::machine m;
  mpx::on_host::machine host;
  INFO("elements " << n);
  twin<Backend, A> master(m, numbers<A>(n, 1)), gradient(m, numbers<A>(n, 2)), states(m, std::vector<A>(count * n, A(0.01f)));
  twin<Backend, T> weights(m, nothing<T>(n));
  std::array<A*, count> here{}, there{};
  for (std::size_t k = 0; k < count; ++k) {
    here[k] = states.host.data() + k * n;
    there[k] = states.data() + k * n;
  }
  auto const constants = Optimizer{}.at(3, 0.1f);
  mpx::element_bound<Clipping> const bound{};
  m.template update<Optimizer>(constants, master.data(), weights.data(), static_cast<A const*>(gradient.data()), there, n,
                               A(0.5f), bound);
  host.template update<Optimizer>(constants, master.host.data(), weights.host.data(), gradient.host_in(), here, n, A(0.5f),
                                  bound);
  master.check(other_order, "master");
  weights.check(rounded<T>, "weights");
  states.check(other_order, "states");
  m.template update<Optimizer>(constants, master.data(), static_cast<T*>(nullptr), static_cast<A const*>(gradient.data()),
                               there, n, A(0.5f), bound);
  host.template update<Optimizer>(constants, master.host.data(), static_cast<T*>(nullptr), gradient.host_in(), here, n,
                                  A(0.5f), bound);
  master.check(other_order, "master alone");
}

template <class Backend, class T>
void updates_agree(std::size_t n) {
  update_agrees<Backend, T, mpx::sgd, mpx::no_clipping>(n);
  update_agrees<Backend, T, mpx::sgd_momentum, mpx::clip_by_value>(n);
  update_agrees<Backend, T, mpx::adam, mpx::clip_by_global_norm>(n);
  update_agrees<Backend, T, mpx::adamw, mpx::no_clipping>(n);
}

/// Operations over rows.
template <class Backend, class T>
void rows_agree(std::size_t rows, std::size_t width) {
  using A = mpx::accumulator_t<T>;
  typename Backend::machine m;
  mpx::on_host::machine host;
  INFO("rows " << rows << ", width " << width);
  std::size_t const n = rows * width;
  twin<Backend, T> x(m, numbers<T>(n, 1, 2.0f)), dy(m, numbers<T>(n, 2)), y(m, nothing<T>(n));
  twin<Backend, T> weight(m, numbers<T>(width, 3)), bias(m, numbers<T>(width, 4));
  twin<Backend, A> mean(m, nothing<A>(rows)), rstd(m, nothing<A>(rows));
  twin<Backend, A> dweight(m, numbers<A>(width, 5)), dbias(m, numbers<A>(width, 6));

  m.layer_norm_forward(y.data(), mean.data(), rstd.data(), x.in(), weight.in(), bias.in(), rows, width);
  host.layer_norm_forward(y.host.data(), mean.host.data(), rstd.host.data(), x.host_in(), weight.host_in(), bias.host_in(),
                          rows, width);
  if (width > 1) {  // one column: x - mean is 0, up to rounding, and rstd is large
    y.check(rounded<T>, "layer_norm_forward");
    mean.check(other_order, "mean", size_of_row_sums(x.host, rows, width) / static_cast<double>(width));
    rstd.check(other_order, "rstd");
  }
  mean.host = mean.read();
  rstd.host = rstd.read();
  m.layer_norm_backward(y.data(), dweight.data(), dbias.data(), dy.in(), x.in(), static_cast<A const*>(mean.data()),
                        static_cast<A const*>(rstd.data()), weight.in(), rows, width);
  host.layer_norm_backward(y.host.data(), dweight.host.data(), dbias.host.data(), dy.host_in(), x.host_in(),
                           mean.host_in(), rstd.host_in(), weight.host_in(), rows, width);
  if (width > 2) y.check(2 * rounded<T>, "layer_norm_backward");  // two columns: dx is what rounding leaves
  double const summed = size_of_column_sums(dy.host, rows, width);
  dweight.check(other_order, "dweight", summed);
  dbias.check(other_order, "dbias", summed);

  m.rms_norm_forward(y.data(), rstd.data(), x.in(), weight.in(), rows, width);
  host.rms_norm_forward(y.host.data(), rstd.host.data(), x.host_in(), weight.host_in(), rows, width);
  y.check(rounded<T>, "rms_norm_forward");
  rstd.check(other_order, "rstd");
  m.rms_norm_backward(y.data(), dweight.data(), dy.in(), x.in(), static_cast<A const*>(rstd.data()), weight.in(), rows, width);
  host.rms_norm_backward(y.host.data(), dweight.host.data(), dy.host_in(), x.host_in(), rstd.host_in(), weight.host_in(), rows, width);
  if (width > 1) y.check(2 * rounded<T>, "rms_norm_backward");
  dweight.check(other_order, "dweight", summed);

  m.column_sum(dbias.data(), dy.in(), rows, width);
  host.column_sum(dbias.host.data(), dy.host_in(), rows, width);
  dbias.check(other_order, "column_sum", summed);
  m.add_bias(x.data(), bias.in(), rows, width);
  host.add_bias(x.host.data(), bias.host_in(), rows, width);
  x.check_bits("add_bias");
  m.row_maxima(mean.data(), x.in(), rows, width);
  host.row_maxima(mean.host.data(), x.host_in(), rows, width);
  mean.check_bits("row_maxima");

  twin<Backend, T> both(m, numbers<T>(2 * n, 7, 2.0f)), dboth(m, nothing<T>(2 * n));
  auto const gated = [&]<class F>(F*, char const* name) {
    INFO(name);
    m.template gated_forward<F>(y.data(), both.in(), rows, width);
    host.template gated_forward<F>(y.host.data(), both.host_in(), rows, width);
    y.check(rounded<T>, "gated_forward");
    m.template gated_backward<F>(dboth.data(), dy.in(), both.in(), rows, width);
    host.template gated_backward<F>(dboth.host.data(), dy.host_in(), both.host_in(), rows, width);
    dboth.check(rounded<T>, "gated_backward");
  };
  gated(static_cast<mpx::silu*>(nullptr), "silu");
  gated(static_cast<mpx::gelu_tanh*>(nullptr), "gelu_tanh");
}

/// Tables, positions, masks: rows that know where they stand.
template <class Backend, class T>
void tables_agree(int sequences, int tokens, std::size_t width) {
  using A = mpx::accumulator_t<T>;
  typename Backend::machine m;
  mpx::on_host::machine host;
  INFO("sequences " << sequences << ", tokens " << tokens << ", width " << width);
  auto const b = static_cast<std::size_t>(sequences), t = static_cast<std::size_t>(tokens), rows = b * t, n = rows * width;
  constexpr std::size_t vocabulary = 11;
  twin<Backend, T> table(m, numbers<T>(vocabulary * width, 1)), x(m, numbers<T>(n, 2)), y(m, nothing<T>(n));
  twin<Backend, A> dtable(m, numbers<A>(vocabulary * width, 3)), dpositions(m, numbers<A>(t * width, 4));
  twin<Backend, std::int32_t> ids(m, some_ids(rows, vocabulary, 1));
  mpx::id_slice const all{0, vocabulary}, some{3, 5};
  for (auto const mine : {all, some}) {
    m.embedding_forward(y.data(), table.in(), ids.in(), rows, width, A(3), mine);
    host.embedding_forward(y.host.data(), table.host_in(), ids.host_in(), rows, width, A(3), mine);
    y.check_bits("embedding_forward");
    m.embedding_backward(dtable.data(), x.in(), ids.in(), rows, width, A(3), mine);
    host.embedding_backward(dtable.host.data(), x.host_in(), ids.host_in(), rows, width, A(3), mine);
    dtable.check(other_order, "embedding_backward");
  }
  twin<Backend, T> positions(m, nothing<T>(t * width));
  m.sinusoidal_table(positions.data(), t, width);
  host.sinusoidal_table(positions.host.data(), t, width);
  positions.check(rounded<T>, "sinusoidal_table");
  positions.host = positions.read();
  m.positions_forward(y.data(), x.in(), positions.in(), b, t, width);
  host.positions_forward(y.host.data(), x.host_in(), positions.host_in(), b, t, width);
  y.check_bits("positions_forward");
  m.positions_backward(dpositions.data(), x.in(), b, t, width);
  host.positions_backward(dpositions.host.data(), x.host_in(), b, t, width);
  dpositions.check_bits("positions_backward");
  for (float const rate : {0.0f, 0.3f})
    for (std::uint32_t const first_channel : {0u, 6u}) {
      mpx::dropout_draw const draw{.key = 77, .step = 5, .first_sequence = 2, .first_token = first_channel / 2,
                                   .first_channel = first_channel, .rate = rate};
      m.dropout(y.data(), x.in(), draw, b, t, width);
      host.dropout(y.host.data(), x.host_in(), draw, b, t, width);
      y.check_bits("dropout");
      m.relu_dropout(y.data(), x.in(), draw, b, t, width);
      host.relu_dropout(y.host.data(), x.host_in(), draw, b, t, width);
      y.check_bits("relu_dropout");
    }
  std::vector<std::int32_t> lengths(b);
  for (std::size_t s = 0; s < b; ++s) lengths[s] = static_cast<std::int32_t>(1 + s % t);
  twin<Backend, std::int32_t> valid(m, lengths);
  std::vector<float> last = nothing<float>(b * (width + 2)), host_last = last;
  m.last_rows(last.data(), width + 2, x.in(), valid.in(), b, t, width);
  m.finish();
  host.last_rows(host_last.data(), width + 2, x.host_in(), valid.host_in(), b, t, width);
  CHECK(same_bits(last, host_last));
  if (width % 2 == 0 && width <= 256)
    for (bool const back : {false, true}) {
      mpx::rotary_shape const turn{b, t, 2, width, 2 * width + 3, 10'000, back};
      twin<Backend, T> turned(m, numbers<T>(rows * turn.stride, 9));
      m.rotary(turn, turned.data());
      host.rotary(turn, turned.host.data());
      turned.check(rounded<T>, "rotary");
    }
}

/// The loss, whole and in two slices of the vocabulary.
template <class Backend, class T>
void losses_agree(std::size_t rows, std::size_t vocabulary) {
  using A = mpx::accumulator_t<T>;
  typename Backend::machine m;
  mpx::on_host::machine host;
  INFO("rows " << rows << ", vocabulary " << vocabulary);
  auto targets = some_ids(rows, vocabulary, 3);
  for (std::size_t r = 0; r < rows; r += 3) targets[r] = -1;
  twin<Backend, std::int32_t> wanted(m, targets);
  auto const values = numbers<T>(rows * vocabulary, 4, 8.0f);
  for (A const smoothing : {A(0), A(0.1f)})
    for (bool const with_gradient : {false, true}) {
      twin<Backend, T> logits(m, values);
      float loss = NAN, host_loss = NAN;
      m.cross_entropy(&loss, logits.data(), wanted.in(), rows, vocabulary, smoothing, A(0.25f), with_gradient);
      m.finish();
      host.cross_entropy(&host_loss, logits.host.data(), wanted.host_in(), rows, vocabulary, smoothing, A(0.25f), with_gradient);
      CHECK(loss == Approx(host_loss).epsilon(other_order).margin(other_order));
      logits.check(rounded<T>, "logits' gradient", 0.25 * std::sqrt(static_cast<double>(rows)));  // p - q may cancel
    }
  std::size_t const first = vocabulary / 3;
  mpx::id_slice const mine{first, vocabulary - first};
  twin<Backend, T> logits(m, numbers<T>(rows * mine.count, 5, 8.0f));
  twin<Backend, A> high(m, std::vector<A>(rows, A(8))), sums(m, nothing<A>(3 * rows));
  m.cross_entropy_sums(sums.data(), logits.in(), static_cast<A const*>(high.data()), wanted.in(), rows, mine, true);
  host.cross_entropy_sums(sums.host.data(), logits.host_in(), high.host_in(), wanted.host_in(), rows, mine, true);
  sums.check(other_order, "cross_entropy_sums");
  sums.host = sums.read();
  float loss = NAN, host_loss = NAN;
  m.cross_entropy_slice(&loss, logits.data(), static_cast<A const*>(high.data()), static_cast<A const*>(sums.data()), wanted.in(),
                        rows, vocabulary, mine, A(0.1f), A(0.5f), true);
  m.finish();
  host.cross_entropy_slice(&host_loss, logits.host.data(), high.host_in(), sums.host_in(), wanted.host_in(), rows, vocabulary,
                           mine, A(0.1f), A(0.5f), true);
  CHECK(loss == Approx(host_loss).epsilon(other_order).margin(other_order));
  logits.check(rounded<T>, "slice of the logits' gradient", 0.5 * std::sqrt(static_cast<double>(rows)));
}

struct attention_case {
  std::size_t sequences, heads, query_tokens, key_tokens, head_width;
  bool causal = false;
  bool with_lengths = false;
  std::size_t buckets = 0, most_distance = 0;  ///< of the scores' bias; 0: none
  std::size_t key_value_heads = 0;             ///< that groups of heads share; 0: each has its own
  std::size_t gap = 3;                         ///< elements between a token's q and the next one's; k and v: 2 more, or 8
};

/// Attention and its gradients. Rows of q, k and v lie further apart than they must.
template <class Backend, class T>
void attention_agrees(attention_case const& z) {
  using A = mpx::accumulator_t<T>;
  typename Backend::machine m;
  mpx::on_host::machine host;
  INFO("sequences " << z.sequences << ", heads " << z.heads << ", queries " << z.query_tokens << ", keys " << z.key_tokens
                    << ", width " << z.head_width << (z.causal ? ", causal" : "") << (z.with_lengths ? ", lengths" : "")
                    << ", gap " << z.gap << ", buckets " << z.buckets << ", heads of keys " << z.key_value_heads);
  std::size_t const width = z.heads * z.head_width;
  mpx::attention_shape const s{z.sequences, z.heads, z.query_tokens, z.key_tokens, z.head_width, width + z.gap,
                               width + z.gap + (z.gap % 8 == 0 ? 8 : 2), z.causal, true, z.key_value_heads};
  std::size_t const queries = z.sequences * z.query_tokens, keys = z.sequences * z.key_tokens;
  twin<Backend, T> q(m, numbers<T>(queries * s.query_stride, 1, 2.0f)), k(m, numbers<T>(keys * s.key_stride, 2, 2.0f));
  twin<Backend, T> v(m, numbers<T>(keys * s.key_stride, 3, 2.0f)), d_o(m, numbers<T>(queries * width, 4, 2.0f));
  twin<Backend, T> o(m, nothing<T>(queries * width)), weight(m, numbers<T>(z.buckets * z.heads, 5, 2.0f));
  twin<Backend, A> lse(m, nothing<A>(queries * z.heads)), delta(m, nothing<A>(queries * z.heads));
  twin<Backend, A> dq_sum(m, nothing<A>(queries * width)), d_bias(m, numbers<A>(z.buckets * z.heads, 6));
  // Between the heads' columns nothing may be written: there they stay 0.
  twin<Backend, T> dq(m, std::vector<T>(queries * s.query_stride, T(0.0f))), dk(m, std::vector<T>(keys * s.key_stride, T(0.0f)));
  twin<Backend, T> dv(m, std::vector<T>(keys * s.key_stride, T(0.0f)));
  std::vector<std::int32_t> valid(z.sequences);
  for (std::size_t b = 0; b < z.sequences; ++b) valid[b] = static_cast<std::int32_t>((b * 7 + z.key_tokens / 2) % (z.key_tokens + 1));
  twin<Backend, std::int32_t> lengths(m, valid);
  auto const buckets = z.buckets > 0 ? mpx::relative_buckets(z.buckets, z.most_distance, !z.causal) : mpx::relative_buckets();
  mpx::score_bias<T> const bias{z.buckets > 0 ? weight.in() : nullptr, buckets};
  mpx::score_bias<T> const host_bias{z.buckets > 0 ? weight.host_in() : nullptr, buckets};
  std::int32_t const* const there = z.with_lengths ? lengths.in() : nullptr;
  std::int32_t const* const here = z.with_lengths ? lengths.host_in() : nullptr;

  m.attention_forward(s, o.data(), lse.data(), q.in(), k.in(), v.in(), there, bias);
  host.attention_forward(s, o.host.data(), lse.host.data(), q.host_in(), k.host_in(), v.host_in(), here, host_bias);
  // Where 16-bit numbers are multiplied as they are, by a GPU's matrix units or by the host in pairs (host/tile.hpp), two
  // things are rounded: the probabilities, then their sum with v.
  o.check((sizeof(T) == 2 ? 2 : 1) * rounded<T>, "o");
  lse.check(other_order, "lse");
  o.host = o.read();
  lse.host = lse.read();
  m.attention_backward(s, dq.data(), dk.data(), dv.data(), dq_sum.data(), delta.data(), d_o.in(), o.in(),
                       static_cast<A const*>(lse.data()), q.in(), k.in(), v.in(), there, bias, d_bias.data());
  host.attention_backward(s, dq.host.data(), dk.host.data(), dv.host.data(), dq_sum.host.data(), delta.host.data(),
                          d_o.host_in(), o.host_in(), lse.host_in(), q.host_in(), k.host_in(), v.host_in(), here, host_bias,
                          d_bias.host.data());
  // dp - delta is a difference of numbers as large as products of whole heads: before it cancels, elements are about 1.
  double const bound = std::is_same_v<T, float> ? other_order : 2 * rounded<T>;
  dq.check(bound, "dq", std::sqrt(static_cast<double>(queries * width)));
  dk.check(bound, "dk", std::sqrt(static_cast<double>(keys * width)));
  dv.check(bound, "dv");
  d_bias.check(other_order, "d_bias", std::sqrt(static_cast<double>(queries * z.heads)));
}

}  // namespace laws
