// Layers made of layers, and streams that several layers read.
#include <mpx_test.hpp>

#include <array>
#include <cstddef>

#include "laws/layer.hpp"

namespace {

/// y = x * side, element by element.
struct times_side : mpx::layer_defaults {
  using row_label = mpx::name<"times_side">;
  using takes = mpx::message<mpx::stream<"x", 8>>;
  using gives = takes;
  using reads = mpx::message<mpx::stream<"side", 8>>;
  static constexpr std::array<mpx::tensor_extent, 1> saves{{{mpx::axis::target, 8}}};
  static constexpr bool keeps_input = true;

  template <class C, class T> static void forward(C const& c, T const*, T const*, T const* x, T* y, std::byte*) {
    T const* const side = c.stream("side").value;
    for (int i = 0; i < c.rows(mpx::axis::target) * 8; ++i) y[i] = x[i] * side[i];
  }
  template <class C, class T, class A>
  static void backward(C const& c, T const*, A*, T const*, T const* dy, T* dx, std::byte* saved) {
    T const* const x = reinterpret_cast<T const*>(saved);
    auto const& side = c.stream("side");
    for (int i = 0; i < c.rows(mpx::axis::target) * 8; ++i) {
      dx[i] = dy[i] * side.value[i];
      side.gradient[i] += dy[i] * x[i];
    }
  }
};

// The tokens' vectors have two readers (the layer that writes "side", and the first product), and so has "side".
using two_readers = test::tiny<mpx::gives_as<"side", mpx::linear<8, 8>>, times_side, mpx::linear<8, 8>, times_side>;

using residuals =
    test::tiny<mpx::residual<mpx::linear<8, 8>, mpx::residual<mpx::linear<8, 8>, mpx::activation<mpx::gelu, 8>>>,
               mpx::residual<mpx::layer_norm<8>>, mpx::mlp<8, 16, mpx::relu>>;
using pre_normed = test::tiny<mpx::transformer_block<mpx::width<8>, mpx::heads<2>>>;
using post_normed = test::tiny<mpx::transformer_block<mpx::width<8>, mpx::heads<2>, mpx::post_norm>>;

}  // namespace

TEST_CASE("the gradients of residuals, nested ones too, and of an mlp are the central differences",
          "[layer][composition]") {
  test::gradients_match<residuals>(test::tiny_batch());
}

TEST_CASE("the gradients of a pre-norm block are the central differences, with dropout and without",
          "[layer][composition]") {
  test::gradients_match<pre_normed>(test::tiny_batch());
  test::gradients_match<pre_normed, mpx::place_all<>, 2>(test::tiny_batch(), {.dropout = 0.2f});
  test::f32_follows_f64<pre_normed>(test::tiny_batch());
}

TEST_CASE("the gradients of a post-norm block are the central differences", "[layer][composition]") {
  test::gradients_match<post_normed>(test::tiny_batch());
}

TEST_CASE("the gradients of streams with two readers are the central differences, on one device and on three",
          "[layer][composition]") {
  test::gradients_match<two_readers>(test::tiny_batch());
  test::gradients_match<two_readers, mpx::place_evenly<3>, 2>(test::tiny_batch());
}
