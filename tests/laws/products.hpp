// What a machine does beside a product is what the host does after it, up to the order of sums and where results are rounded.
#pragma once

#include <mpx_test.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <type_traits>
#include <vector>

#include <mpx/backend/concepts.hpp>

#include "machine.hpp"

namespace laws {

/// The gradients of a weight and of its bias, from one product. Both are added to: the bias's always, the weight's where
/// the shape says so.
template <class Backend, class T>
void row_sums_agree(std::size_t rows, std::size_t out, std::size_t in, bool accumulate) {
  static_assert(mpx::sums_within_products<typename Backend::machine, T>);
  typename Backend::machine m;
  mpx::on_host::machine host;
  INFO("rows " << rows << ", out " << out << ", in " << in << (accumulate ? ", accumulate" : ""));
  mpx::gemm_shape const s{.m = out, .n = in, .k = rows, .transpose_a = true, .accumulate = accumulate};
  twin<Backend, T> dy(m, numbers<T>(rows * out, 1)), x(m, numbers<T>(rows * in, 2));
  twin<Backend, float> dw(m, accumulate ? numbers<float>(out * in, 3) : nothing<float>(out * in)), db(m, numbers<float>(out, 4));
  auto const agree = [&] {
    m.template gemm_with_row_sum<T>(s, dy.in(), x.in(), dw.data(), db.data());
    host.gemm(s, dy.host_in(), x.host_in(), dw.host.data(), static_cast<T const*>(nullptr));
    host.column_sum(db.host.data(), dy.host_in(), rows, out);
    dw.check(other_order, "dw", std::sqrt(static_cast<double>(out * in * rows)) / 3);
    db.check(other_order, "db", size_of_column_sums(dy.host, rows, out));
  };
  agree();
  agree();  // a second microbatch's
  // And again the same bits.
  twin<Backend, float> first(m, nothing<float>(out * in)), second(m, nothing<float>(out * in));
  twin<Backend, float> first_sum(m, std::vector<float>(out)), second_sum(m, std::vector<float>(out));
  auto once = s;
  once.accumulate = false;
  m.template gemm_with_row_sum<T>(once, dy.in(), x.in(), first.data(), first_sum.data());
  m.template gemm_with_row_sum<T>(once, dy.in(), x.in(), second.data(), second_sum.data());
  CHECK(same_bits(first.read(), second.read()));
  CHECK(same_bits(first_sum.read(), second_sum.read()));
}

/// What one rounding is off at most, relative to each element.
template <class T>
inline constexpr double roundoff = std::is_same_v<T, float> ? other_order : 2 * rounded<T>;

/// gelu_tanh and its slope beside a product. A machine need not round in between, as the host does: results are off by two
/// roundings, of themselves and of the host's, and by the host's rounding of the product times the largest slope.
template <class Backend, class T>
void gelus_agree(std::size_t rows, std::size_t out, std::size_t in, bool with_bias) {
  static_assert(mpx::gelu_within_products<typename Backend::machine, T>);
  constexpr double steepest = 1.13;
  typename Backend::machine m;
  mpx::on_host::machine host;
  INFO("rows " << rows << ", out " << out << ", in " << in << (with_bias ? ", bias" : ""));
  std::size_t const n = rows * out;
  auto const size = [](std::vector<T> const& of) {
    double sum = 0;
    for (T const one : of) sum += static_cast<double>(static_cast<float>(one)) * static_cast<double>(static_cast<float>(one));
    return std::sqrt(sum);
  };
  mpx::gemm_shape const forward{.m = rows, .n = out, .k = in, .transpose_b = true}, back{.m = rows, .n = out, .k = in};
  twin<Backend, T> x(m, numbers<T>(rows * in, 1)), w(m, numbers<T>(out * in, 2)), bias(m, numbers<T>(out, 3));
  twin<Backend, T> c(m, nothing<T>(n)), y(m, nothing<T>(n));
  m.template gemm_with_gelu<T>(forward, x.in(), w.in(), c.data(), y.data(), with_bias ? bias.in() : nullptr);
  host.gemm(forward, x.host_in(), w.host_in(), c.host.data(), with_bias ? bias.host_in() : nullptr);
  host.template activation_forward<mpx::gelu_tanh>(y.host.data(), c.host_in(), n);
  double const terms = std::sqrt(static_cast<double>(n * in)) / 3;  // where one sum alone has cancelled
  c.check(rounded<T>, "what gelu takes", terms);
  y.check(roundoff<T>, "gelu", 2 * size(y.host) + steepest * std::max(size(c.host), terms));

  // w is [in, out] here.
  twin<Backend, T> taken(m, numbers<T>(n, 4, 4.0f)), dx(m, nothing<T>(n));
  std::vector<T> product(n);
  m.template gemm_with_gelu_gradient<T>(back, x.in(), w.in(), dx.data(), taken.in());
  host.gemm(back, x.host_in(), w.host_in(), product.data(), static_cast<T const*>(nullptr));
  host.template activation_backward<mpx::gelu_tanh>(dx.host.data(), product.data(), taken.host_in(), n);
  dx.check(roundoff<T>, "gelu's gradient", 2 * size(dx.host) + steepest * std::max(size(product), terms));

  // And again the same bits.
  auto const first_c = c.read(), first_y = y.read(), first_dx = dx.read();
  m.template gemm_with_gelu<T>(forward, x.in(), w.in(), c.data(), y.data(), with_bias ? bias.in() : nullptr);
  m.template gemm_with_gelu_gradient<T>(back, x.in(), w.in(), dx.data(), taken.in());
  CHECK((same_bits(first_c, c.read()) && same_bits(first_y, y.read()) && same_bits(first_dx, dx.read())));
}

}  // namespace laws
