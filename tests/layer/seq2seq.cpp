// A whole encoder-decoder model, on one device and on three.
#include <mpx_test.hpp>

#include "laws/layer.hpp"

TEST_CASE("the gradients of a seq2seq are the central differences", "[layer][seq2seq]") {
  test::gradients_match<test::small_seq2seq>(test::tiny_batch());
}

TEST_CASE("the gradients of a seq2seq are the central differences on three devices", "[layer][seq2seq]") {
  test::gradients_match<test::small_seq2seq, mpx::place_evenly<3>, 2>(test::tiny_batch());
}
