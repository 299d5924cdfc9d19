// Dense layers, and that the law of gradients can fail.
#include <mpx_test.hpp>

#include <array>
#include <cmath>
#include <cstddef>

#include "laws/layer.hpp"

namespace {

/// y = 2 x, whose backward multiplies by 2.02.
struct one_percent_off : mpx::layer_defaults {
  using takes = mpx::message<mpx::stream<"x", 8>>;
  using gives = takes;
  static constexpr std::array<mpx::tensor_extent, 1> saves{{{mpx::axis::target, 8}}};
  static constexpr bool keeps_input = true;

  template <class C, class T> static void forward(C const& c, T const*, T const*, T const* x, T* y, std::byte*) {
    for (int i = 0; i < c.rows(mpx::axis::target) * 8; ++i) y[i] = 2 * x[i];
  }
  template <class C, class T, class A>
  static void backward(C const& c, T const*, A*, T const*, T const* dy, T* dx, std::byte*) {
    for (int i = 0; i < c.rows(mpx::axis::target) * 8; ++i) dx[i] = T(2.02) * dy[i];
  }
};

}  // namespace

TEST_CASE("the gradients of two linear layers and a head are the central differences", "[layer][linear]") {
  using model = test::tiny<mpx::linear<8, 12>, mpx::linear<12, 8>>;
  test::gradients_match<model>(test::tiny_batch());
  test::f32_follows_f64<model>(test::tiny_batch());
}

TEST_CASE("the gradients of a head that divides its logits by sqrt(C) are the central differences", "[layer][linear]") {
  using model = mpx::sequential<mpx::token_embedding<13, 8, "inputs">, mpx::language_head<8, 13, mpx::head_weight<8, 13>, true>,
                                mpx::cross_entropy<13>>;
  test::gradients_match<model>(test::tiny_batch());
  test::f32_follows_f64<model>(test::tiny_batch());

  // The same weights without the factor.
  mpx::trainer<model, test::still_recipe<test::f64_only>> divided;
  mpx::trainer<test::tiny<>, test::still_recipe<test::f64_only>> plain;
  test::spread_parameters(divided);
  test::spread_parameters(plain);
  auto const small = divided.next_token_logits(test::tiny_batch()), large = plain.next_token_logits(test::tiny_batch());
  for (std::size_t i = 0; i < small.size(); ++i) CHECK(small[i] * std::sqrt(8.0) == Approx(large[i]));
}

TEST_CASE("the law of gradients refuses a backward that is 1 % off", "[layer][linear]") {
  auto const worst = test::compare_gradients<test::tiny<one_percent_off>>(test::tiny_batch());
  CHECK(worst.where == "embedding.weight");  // the one parameter before it; the head's gradient is right
  CHECK(worst.error == Approx(0.01).epsilon(0.2));
}
