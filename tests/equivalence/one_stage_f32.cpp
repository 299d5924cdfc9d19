#include "equivalence.hpp"

TEST_CASE("gpt2 on five data ranks", "[equivalence]") {
  test::meshes<test::wide_gpt2_untied<24>, mpx::f32_only, 5, 1> const run;
  run.on<1, test::halved>("zb_h1");
}

TEST_CASE("seq2seq on seven data ranks that divide the optimizer", "[equivalence]") {
  test::meshes<test::wide_seq2seq<24>, mpx::f32_only, 7, 1, mpx::shard_optimizer>{};
}

TEST_CASE("gpt2 on five tensor ranks", "[equivalence]") {
  test::meshes<test::wide_gpt2<35>, mpx::f32_only, 1, 5>{};
}

TEST_CASE("seq2seq on six tensor ranks that divide rows", "[equivalence]") {
  test::meshes<test::wide_seq2seq<24>, mpx::f32_only, 1, 6, mpx::sequence_parallel> const run;
  run.on<1, test::halved>("zb_h1");
}

TEST_CASE("gpt2 on two data and three tensor ranks that divide gradients", "[equivalence]") {
  test::meshes<test::wide_gpt2_untied<24>, mpx::f32_only, 2, 3, mpx::shard_gradients>{};
}

TEST_CASE("gpt2 on four data and two tensor ranks that divide rows", "[equivalence]") {
  test::meshes<test::wide_gpt2<24>, mpx::f32_only, 4, 2, mpx::sequence_parallel>{};
}
