// What a GPU does beside a product, emulated: the laws that tests/gpu/operations.cpp asks a GPU for.
#include "cuda/apart_backend.hpp"
#include "laws/products.hpp"

TEMPLATE_TEST_CASE("a product's row sums are what the host adds up after it", "[cuda][products]", float, mpx::bf16, mpx::f16) {
  for (bool const accumulate : {false, true}) {
    laws::row_sums_agree<test::apart_backend, TestType>(1, 1, 1, accumulate);
    laws::row_sums_agree<test::apart_backend, TestType>(33, 24, 17, accumulate);
    laws::row_sums_agree<test::apart_backend, TestType>(0, 3, 5, accumulate);
  }
}

TEMPLATE_TEST_CASE("gelu beside a product is the host's behind it", "[cuda][products]", float, mpx::bf16, mpx::f16) {
  for (bool const with_bias : {false, true}) {
    laws::gelus_agree<test::apart_backend, TestType>(1, 1, 1, with_bias);
    laws::gelus_agree<test::apart_backend, TestType>(33, 24, 65, with_bias);
    laws::gelus_agree<test::apart_backend, TestType>(16, 61, 100, with_bias);
    laws::gelus_agree<test::apart_backend, TestType>(0, 8, 3, with_bias);
  }
}
