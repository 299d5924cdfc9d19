// error: mpx::layer requires its backward to return the gradient of what it takes in that gradient's layout
// fact:  hidden<8, 16>|hidden<8ul, 16ul>
// fact:  partial
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
};

template <std::size_t In, std::size_t Out>
struct mpx::execution<hidden<In, Out>> : mpx::no_constants {
  using layer = hidden<In, Out>;

  template <class C>
  static auto forward(operands<layer, C> const& o, input_view<layer, C> x, typename C::compute* y) {
    return multiply(o.context, y, replicate(x), o.template parameter<0>(), sizes(o.context));
  }
  template <class C>
  static auto backward(operands<layer, C> const& o, output_gradient_view<layer, C> dy, typename C::compute* dx) {
    add_weight_gradient(o.context, o.template gradient<0>(), dy, replicate(o.template kept<0>()), sizes(o.context));
    return multiply_back(o.context, dx, dy, o.template parameter<0>(), sizes(o.context));  // a part of dx: not reduced
  }

 private:
  template <class C>
  static dense_sizes sizes(C const& c) {
    return {c.row_count(axis::target), c.share(Out), In};
  }
};

using model = mpx::sequential<mpx::token_embedding<64, 8, "inputs">, hidden<8, 16>,
                              mpx::linear<16, 8, mpx::axis::target, mpx::init::xavier_uniform, mpx::biased, mpx::split_inputs>,
                              mpx::language_head<8, 64>, mpx::cross_entropy<64>>;
using recipe = mpx::recipe<mpx::mesh<mpx::tensor<2>>, mpx::microbatch_capacity<mpx::sequences<1>, mpx::tokens<8>>>;
mpx::trainer<model, recipe> trainer;
