// What a machine does beside a product is what the host does after it, up to the order of sums and where results are rounded.
#pragma once

#include <mpx_test.hpp>

#include <cmath>
#include <cstddef>

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

}  // namespace laws
