// error: mpx::sequence_parallel requires each layer to run over views \(mpx::execution\), which know whether they hold all rows or a slice of them
// fact:  plain_pointers<[^>]*twice<
#include <mpx/mpx.hpp>

template <std::size_t C>
struct twice : mpx::layer_defaults {
  using takes = mpx::message<mpx::stream<"x", C>>;
  using gives = takes;
  static constexpr bool in_place = true;

  template <class Context, class T>
  static void forward(Context const& c, T const*, T const*, T const* x, T* y, std::byte*) {
    c.machine.scale(y, x, mpx::accumulator_t<T>(2), static_cast<std::size_t>(c.rows(mpx::axis::target)) * C);
  }
  template <class Context, class T, class A>
  static void backward(Context const& c, T const*, A*, T const*, T const* dy, T* dx, std::byte*) {
    c.machine.scale(dx, dy, A(2), static_cast<std::size_t>(c.rows(mpx::axis::target)) * C);
  }
};
using model = mpx::sequential<mpx::token_embedding<8, 8, "inputs">, twice<8>, mpx::language_head<8, 8>, mpx::cross_entropy<8>>;
using recipe = mpx::recipe<mpx::mesh<mpx::tensor<2>>, mpx::sequence_parallel,
                           mpx::microbatch_capacity<mpx::sequences<1>, mpx::tokens<4>>>;
using asked = mpx::keeps_layouts<model, mpx::replica<model, recipe, mpx::on_host::backend>::context>;
