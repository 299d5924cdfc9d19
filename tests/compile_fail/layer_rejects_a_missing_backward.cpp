// error: mpx::layer requires its author to offer `template <class C, class T, class A> static void backward\(C const&, T const\* weights, A\* gradients, T const\* constants, T const\* dy, T\* dx, .*std::byte\* saved\)`
// fact: layer_runs<doubling, true, false>
#include <mpx/mpx.hpp>

struct doubling : mpx::layer_defaults {
  using row_label = mpx::name<"doubling">;
  using takes = mpx::message<mpx::stream<"x", 8>>;
  using gives = takes;
  static constexpr bool in_place = true;

  template <class C, class T>
  static void forward(C const& c, T const*, T const*, T const* x, T* y, std::byte*) {
    for (int i = 0; i < c.rows(mpx::axis::target) * 8; ++i) y[i] = T(2 * x[i]);
  }
};
using model =
    mpx::sequential<mpx::token_embedding<5, 8, "inputs">, doubling, mpx::language_head<8, 5>, mpx::cross_entropy<5>>;
using run = mpx::recipe<mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>>;

void train(mpx::batch const& data) { mpx::trainer<model, run>{}.step(data); }
