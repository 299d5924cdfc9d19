// Its forward knows neither tables nor saved tensors; it stands inside a residual, inside a repeat.
// error: mpx::layer requires its author to offer `template <class C, class T> static void forward\(C const&, .*T const\* weights, T const\* constants, T const\* x, T\* y, std::byte\* saved\)`
// fact: layer_runs<scaling, false, true>
#include <mpx/mpx.hpp>

struct scaling : mpx::layer_defaults {
  using row_label = mpx::name<"scaling">;
  using takes = mpx::message<mpx::stream<"x", 8>>;
  using gives = takes;
  static constexpr bool in_place = true;

  template <class C, class T>
  static void forward(C const& c, T const* x, T* y) {
    for (int i = 0; i < c.rows(mpx::axis::target) * 8; ++i) y[i] = T(2 * x[i]);
  }
  template <class C, class T, class A>
  static void backward(C const& c, T const*, A*, T const*, T const* dy, T* dx, std::byte*) {
    for (int i = 0; i < c.rows(mpx::axis::target) * 8; ++i) dx[i] = T(2 * dy[i]);
  }
};
using model = mpx::sequential<mpx::token_embedding<5, 8, "inputs">,
                              mpx::repeat<2, mpx::residual<mpx::layer_norm<8>, scaling>>, mpx::language_head<8, 5>,
                              mpx::cross_entropy<5>>;
using run = mpx::recipe<mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>>;

void train(mpx::batch const& data) { mpx::trainer<model, run>{}.step(data); }
