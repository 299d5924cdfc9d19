#include "equivalence.hpp"

TEST_CASE("seq2seq on six data ranks that divide gradients", "[equivalence]") {
  test::meshes<test::wide_seq2seq<24>, mpx::bf16_mixed, 6, 1, mpx::shard_gradients>{};
}

TEST_CASE("gpt2 on eight data ranks that divide the optimizer", "[equivalence]") {
  test::meshes<test::wide_gpt2<24>, mpx::bf16_mixed, 8, 1, mpx::shard_optimizer> const run;
  run.on<1, test::halved>("zb_h1");
}

TEST_CASE("gpt2 on seven tensor ranks that divide rows", "[equivalence]") {
  test::meshes<test::wide_gpt2<35>, mpx::bf16_mixed, 1, 7, mpx::sequence_parallel>{};
}

TEST_CASE("gpt2 on eight tensor ranks", "[equivalence]") {
  test::meshes<test::wide_gpt2_untied<24>, mpx::bf16_mixed, 1, 8>{};
}

TEST_CASE("seq2seq on three data and two tensor ranks", "[equivalence]") {
  test::meshes<test::wide_seq2seq<24>, mpx::bf16_mixed, 3, 2> const run;
  run.on<1, test::halved>("zb_h1");
}

TEST_CASE("seq2seq on two data and four tensor ranks that divide rows and gradients", "[equivalence]") {
  test::meshes<test::wide_seq2seq<24>, mpx::bf16_mixed, 2, 4, mpx::sequence_parallel, mpx::shard_gradients>{};
}
