// Each row operation of the host: nanoseconds an element, and what it moves beside what a copy moves.
//
//   build/bench/kernels
//
// Rows of 768, 16384 of them: f32 tensors of 48 MiB, so that operands come from memory rather than from a cache.
#include <mpx/mpx.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

#include "measure.hpp"

namespace {

constexpr std::size_t rows = 16384, width = 768, count = rows * width;

/// Bytes that a copy of large arrays moves, read and written.
/// Units  bytes a second
double copy_bandwidth() {
  std::vector<float> from(32 << 20, 1.0f), to(from.size());
  double const seconds = bench::quickest([&] { std::memcpy(to.data(), from.data(), from.size() * sizeof(float)); });
  return 2.0 * static_cast<double>(from.size() * sizeof(float)) / seconds;
}

template <class T>
struct operands {
  std::vector<T> x = std::vector<T>(count, T(0.5f)), y = x, z = x;
  std::vector<T> weight = std::vector<T>(width, T(1.0f)), bias = weight;
  std::vector<float> gradient = std::vector<float>(count, 1e-3f), master = gradient, first = gradient, second = gradient;
  std::vector<float> mean = std::vector<float>(rows), rstd = mean, column = std::vector<float>(width), other = column;
};

template <class T>
void measure(double bandwidth) {
  operands<T> o;
  mpx::on_host::machine m;
  constexpr double t = sizeof(T);
  /// `bytes`: what must be read and written for each element
  auto const line = [&](char const* name, double bytes, auto run) {
    double const seconds = bench::quickest(run);
    double const moved = bytes * static_cast<double>(count);
    std::printf("%-28s %5s %10.3f %10.1f %11.0f %%\n", name, mpx::dtype_name<T>, 1e9 * seconds / static_cast<double>(count),
                1e-9 * moved / seconds, 100 * moved / seconds / bandwidth);
  };
  T *const x = o.x.data(), *const y = o.y.data(), *const z = o.z.data();
  mpx::dropout_draw const draw{.key = 1, .step = 1, .rate = 0.1f};
  std::vector<std::int32_t> const targets(rows, 1);
  float loss = 0;

  line("add", 3 * t, [&] { m.template add<T>(y, x, count); });
  line("column_sum", t, [&] { m.template column_sum<T>(o.column.data(), x, rows, width); });
  line("dropout", 2 * t, [&] { m.template dropout<T>(y, x, draw, 1, rows, width); });
  line("relu_dropout", 2 * t, [&] { m.template relu_dropout<T>(y, x, draw, 1, rows, width); });
  line("relu_dropout, backward", 3 * t, [&] { m.template relu_dropout_backward<T>(z, y, x, draw.factor<mpx::accumulator_t<T>>(), count); });
  line("relu", 2 * t, [&] { m.template activation_forward<mpx::relu, T>(y, x, count); });
  line("relu, backward", 3 * t, [&] { m.template activation_backward<mpx::relu, T>(z, y, x, count); });
  line("gelu", 2 * t, [&] { m.template activation_forward<mpx::gelu, T>(y, x, count); });
  line("gelu, backward", 3 * t, [&] { m.template activation_backward<mpx::gelu, T>(z, y, x, count); });
  line("gelu_tanh", 2 * t, [&] { m.template activation_forward<mpx::gelu_tanh, T>(y, x, count); });
  line("gelu_tanh, backward", 3 * t, [&] { m.template activation_backward<mpx::gelu_tanh, T>(z, y, x, count); });
  line("layer_norm", 2 * t, [&] {
    m.template layer_norm_forward<T>(y, o.mean.data(), o.rstd.data(), x, o.weight.data(), o.bias.data(), rows, width);
  });
  line("layer_norm, backward", 3 * t, [&] {
    m.template layer_norm_backward<T>(z, o.column.data(), o.other.data(), y, x, o.mean.data(), o.rstd.data(), o.weight.data(),
                                      rows, width);
  });
  line("rms_norm", 2 * t, [&] { m.template rms_norm_forward<T>(y, o.rstd.data(), x, o.weight.data(), rows, width); });
  line("rms_norm, backward", 3 * t, [&] {
    m.template rms_norm_backward<T>(z, o.column.data(), y, x, o.rstd.data(), o.weight.data(), rows, width);
  });
  line("cross_entropy, gradient", 2 * t, [&] {
    m.template cross_entropy<T>(&loss, z, targets.data(), rows, width, 0.0f, 1e-3f, true);
  });
  line("sum_of_squares", 4, [&] { loss += m.sum_of_squares(o.gradient.data(), count); });
  bool const narrow = sizeof(T) < sizeof(float);
  line("adam", 28 + (narrow ? t : 0), [&] {
    auto const unbounded = [](float g) { return g; };
    m.template update<mpx::adam>(mpx::adam{}.at(1, 1e-4f), o.master.data(), narrow ? x : static_cast<T*>(nullptr),
                                 o.gradient.data(), std::array<float*, 2>{o.first.data(), o.second.data()}, count, 1.0f,
                                 unbounded);
  });
}

}  // namespace

int main() {
  double const bandwidth = copy_bandwidth();
  std::printf("a copy moves %.1f GB/s\n", 1e-9 * bandwidth);
  std::printf("%-28s %5s %10s %10s %13s\n", "operation", "type", "ns/element", "GB/s", "of a copy");
  measure<float>(bandwidth);
  measure<mpx::bf16>(bandwidth);
}
