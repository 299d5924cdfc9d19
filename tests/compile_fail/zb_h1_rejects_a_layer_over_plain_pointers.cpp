// A layer that adds up its weights' gradients and passes its input's back in one go.
// error: mpx::pipeline_schedule requires each layer with weights to run over views \(mpx::execution\) where backwards are split: a gradient that is null is not asked for
// fact:  backward_in_halves<[^>]*bias<8
#include <mpx/mpx.hpp>

template <std::size_t C>
struct bias : mpx::layer_defaults {
  using takes = mpx::message<mpx::stream<"x", C>>;
  using gives = takes;
  using parameters = boost::hana::tuple<mpx::parameter<"bias", mpx::shape<C>, mpx::init::zeros>>;
  static constexpr std::array<mpx::tensor_extent, 0> saves{};
  static constexpr bool in_place = true;

  template <class Context, class T>
  static void forward(Context const& c, T const* weights, T const*, T const* x, T* y, std::byte*) {
    for (std::size_t i = 0; i < c.row_count(mpx::axis::target) * C; ++i) y[i] = T(float(x[i]) + float(weights[i % C]));
  }
  template <class Context, class T, class A>
  static void backward(Context const& c, T const*, A* gradients, T const*, T const* dy, T* dx, std::byte*) {
    for (std::size_t i = 0; i < c.row_count(mpx::axis::target) * C; ++i) {
      gradients[i % C] += A(dy[i]);
      dx[i] = dy[i];
    }
  }
};

using model = mpx::sequential<mpx::token_embedding<16, 8, "inputs">, bias<8>, mpx::language_head<8, 16>, mpx::cross_entropy<16>>;
using recipe = mpx::recipe<mpx::zb_h1<mpx::microbatches<2>>, mpx::microbatch_capacity<mpx::sequences<2>, mpx::tokens<4>>>;
mpx::trainer<model, recipe> trainer;
