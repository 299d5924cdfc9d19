// Adds a layer to mpx without touching it: y = x * weight, channel by channel, with its own forward and backward. Then
// trains a model with it to count: after each digit comes the next one.
#include <mpx/mpx.hpp>

#include <iostream>

/// A description says what the layer takes, gives and keeps; `forward` and `backward` say what it does. T is the type
/// that the recipe computes in, A the one that gradients are summed in.
template <std::size_t C>
struct channel_scale : mpx::layer_defaults {
  using row_label = mpx::name<"scale">;
  using takes = mpx::message<mpx::stream<"x", C>>;
  using gives = takes;
  using parameters = boost::hana::tuple<mpx::parameter<"weight", mpx::shape<C>, mpx::init::ones>>;
  static constexpr std::array<mpx::tensor_extent, 1> saves{{{mpx::axis::target, C}}};  // x, which backward needs
  static constexpr bool keeps_input = true;

  template <class Context, class T>
  static void forward(Context const& c, T const* weight, T const*, T const* x, T* y, std::byte*) {
    for (int r = 0; r < c.rows(mpx::axis::target); ++r, x += C, y += C)
      for (std::size_t i = 0; i < C; ++i) y[i] = T(x[i] * weight[i]);
  }

  template <class Context, class T, class A>
  static void backward(Context const& c, T const* weight, A* gradient, T const*, T const* dy, T* dx, std::byte* saved) {
    T const* x = reinterpret_cast<T const*>(saved);
    for (int r = 0; r < c.rows(mpx::axis::target); ++r, x += C, dy += C, dx += C)
      for (std::size_t i = 0; i < C; ++i) {
        gradient[i] += A(x[i]) * A(dy[i]);
        dx[i] = T(dy[i] * weight[i]);
      }
  }
};

// It takes part in all that mpx derives: names, parameters, memory, placement.
using model = mpx::sequential<mpx::token_embedding<10, 16, "inputs">, channel_scale<16>, mpx::language_head<16, 10>,
                              mpx::cross_entropy<10>>;
using recipe = mpx::recipe<mpx::place_evenly<2>, mpx::gpipe<mpx::microbatches<2>>, mpx::constant_rate, mpx::adam,
                           mpx::microbatch_capacity<mpx::sequences<5>, mpx::tokens<8>>>;
static_assert(mpx::plan_v<model, recipe>.layers[1].name.is("scale"));

int main() {
  mpx::batch counting{{10, {0, 8}}, {}, "counting"};  // 10 sequences of 8 digits
  for (int next : {0, 1}) {
    counting.columns.push_back({next ? "targets" : "inputs", mpx::axis::target, false, {}});
    for (int i = 0; i < 80; ++i) counting.columns.back().values.push_back((i / 8 + i + next) % 10);
  }
  counting.columns.push_back({"target_lengths", mpx::axis::target, true, std::vector<std::int32_t>(10, 8)});
  mpx::trainer<model, recipe> trainer{{.lr = {.peak = 0.05f}}};
  for (int step = 1; step <= 40; ++step)
    if (auto const report = trainer.step(counting); step % 10 == 0) std::cout << report << '\n';
  std::cout << "scale.weight begins with " << trainer.parameter("scale.weight")[0] << ", and was 1\n";
}
