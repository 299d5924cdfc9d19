// The products of the other benchmarks, by themselves, beside what the registers alone would allow.
//
//   build/bench/gemm
//
// The peak is measured: sums that never leave their registers.
#include <mpx/mpx.hpp>

#include <cstddef>
#include <cstdio>
#include <vector>

#include "measure.hpp"
#include "observed.hpp"

namespace {

/// Units  FLOP a second
template <class T>
double peak() {
  using element = mpx::on_host::tile_element<T>;
  constexpr std::size_t rows = 8, width = 32, depth = 100000;  // the same operands at each depth: strides of 0
  std::vector<element> const a(rows), b(width);
  std::vector<float> c(rows * width);
  double const seconds = bench::quickest([&] {
    mpx::on_host::tile_multiply<float, element>(c.data(), width, {a.data(), 1, 0}, {b.data(), 0, 1}, rows, width, depth,
                                                false);
  });
  return (mpx::on_host::in_pairs<T> ? 4.0 : 2.0) * rows * width * depth / seconds;
}

/// A dense layer of `in` to `out` over `rows` tokens: forward, both products of backward.
struct dense {
  char const* job;
  std::size_t rows, out, in;
};
constexpr dense layers[] = {
    {"tutorial_job, attention", 256, 384, 128},     {"tutorial_job, up", 256, 2048, 128},
    {"tutorial_job, down", 256, 128, 2048},         {"gpt_small_step, attention", 2048, 1152, 384},
    {"gpt_small_step, up", 2048, 1536, 384},        {"gpt_small_step, down", 2048, 384, 1536},
    {"gpt2_step, attention", 1024, 2304, 768},      {"gpt2_step, out", 1024, 768, 768},
    {"gpt2_step, up", 1024, 3072, 768},             {"gpt2_step, down", 1024, 768, 3072},
    {"gpt2_step, head", 1024, 50257, 768},
};

template <class T>
void measure() {
  double const most = peak<T>();
  std::printf("%s: the registers allow %.0f GFLOP/s\n", mpx::dtype_name<T>, 1e-9 * most);
  std::printf("%-28s %6s %6s %6s %16s %16s %16s\n", "layer", "rows", "out", "in", "forward", "input gradient", "weight gradient");
  for (auto const& l : layers) {
    double const flops = 2.0 * static_cast<double>(l.rows * l.out) * static_cast<double>(l.in);
    double const forward = bench::seconds_alone<T, T>({.m = l.rows, .n = l.out, .k = l.in, .transpose_b = true}, true);
    double const input = bench::seconds_alone<T, T>({.m = l.rows, .n = l.in, .k = l.out}, false);
    double const weight =
        bench::seconds_alone<T, float>({.m = l.out, .n = l.in, .k = l.rows, .transpose_a = true}, false);
    std::printf("%-28s %6zu %6zu %6zu", l.job, l.rows, l.out, l.in);
    for (double const seconds : {forward, input, weight})
      std::printf("  %7.0f (%3.0f %%)", 1e-9 * flops / seconds, 100 * flops / seconds / most);
    std::printf("\n");
  }
}

}  // namespace

int main() {
  measure<float>();
  measure<mpx::bf16>();
}
