// error: mpx::layer requires a layer that is sharded over tensor ranks to run over views
// fact:  hidden<8, 16>|hidden<8ul, 16ul>
#include <mpx/mpx.hpp>

/// y = gelu(x W^T), each tensor rank with a slice of the columns of W^T.
template <std::size_t In, std::size_t Out>
struct hidden : mpx::layer_defaults {
  using row_label = mpx::name<"hidden">;
  using takes = mpx::message<mpx::stream<"x", In>>;
  using gives = mpx::message<mpx::stream<"x", Out, mpx::axis::target, mpx::spread::sharded_1>>;
  using parameters = boost::hana::tuple<mpx::parameter<"weight", mpx::shape<Out, In>, mpx::init::xavier_uniform,
                                                       mpx::over_tensor<mpx::spread::sharded_0>>>;
  static constexpr std::array<mpx::tensor_extent, 1> saves{{{mpx::axis::target, In}}};
  static constexpr bool keeps_input = true;

  template <class C, class T>
  static void forward(C const&, T const*, T const*, T const*, T*, std::byte*) {}
  template <class C, class T, class A>
  static void backward(C const&, T const*, A*, T const*, T const*, T*, std::byte*) {}
};

using model = mpx::sequential<mpx::token_embedding<64, 8, "inputs">, hidden<8, 16>,
                              mpx::linear<16, 8, mpx::axis::target, mpx::init::xavier_uniform, mpx::biased, mpx::split_inputs>,
                              mpx::language_head<8, 64>, mpx::cross_entropy<64>>;
using recipe = mpx::recipe<mpx::mesh<mpx::tensor<2>>, mpx::microbatch_capacity<mpx::sequences<1>, mpx::tokens<8>>>;
mpx::trainer<model, recipe> trainer;
