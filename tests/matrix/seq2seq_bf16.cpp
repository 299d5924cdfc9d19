// seq2seq, in bf16.
#include "matrix.hpp"

TEST_CASE("seq2seq in bf16 runs as planned on 1 to 4 devices", "[matrix]") {
  test::on_1_to_4_devices<test::small_seq2seq, mpx::bf16_mixed>();
}

TEST_CASE("each layer of seq2seq in bf16 computes the FLOPs that its plan says", "[matrix][flops]") {
  test::each_layer_as_planned<test::small_seq2seq, mpx::bf16_mixed, mpx::keep_activations>();
  test::each_layer_as_planned<test::small_seq2seq, mpx::bf16_mixed, mpx::recompute_block>();
}

TEST_CASE("seq2seq in bf16 runs as planned when backwards are split", "[matrix]") {
  test::in_halves<test::small_seq2seq, mpx::bf16_mixed>();
}
