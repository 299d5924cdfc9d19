// With shard_optimizer data ranks divide master weights and the optimizer's state; nothing else differs, not by a bit.
#include "sharded.hpp"

namespace {

using test::mesh_of;
using test::eager;
using sharded = mpx::shard_optimizer;

template <class Model, class Mesh, class Precision, std::size_t M, class... More>
bool is_as_replicated() {
  auto const whole = test::sharded_run<Model, Mesh, Precision, eager<M>, More...>();
  return test::same_bytes(whole, test::sharded_run<Model, Mesh, Precision, eager<M>, More..., sharded>());
}

/// Its table of 4100 x 32 is three portions, so that slices end within it.
using large_table = mpx::gpt2<mpx::vocabulary<4100>, mpx::width<32>, mpx::heads<4>, mpx::layers<1>, mpx::context<16>>;

/// A user's own optimizer, element by element: signs with momentum.
struct sign_momentum {
  static constexpr int states = 1;
  struct constants {
    float rate = 0;
  };
  [[nodiscard]] constexpr constants at(long, float rate) const noexcept { return {rate}; }
  template <class A>
  [[nodiscard]] static constexpr A updated(constants const& c, A weight, A gradient, A* state) {
    state[0] = A(0.9f) * state[0] + gradient;
    return weight - A(c.rate) * (state[0] > 0 ? A(1) : A(-1));
  }
};

}  // namespace

TEST_CASE("a sharded optimizer trains a tied gpt2 to the same bits", "[mesh][shard_optimizer]") {
  CHECK(is_as_replicated<test::mesh_gpt2, mesh_of<2, 2, 1>, mpx::f32_only, 4, mpx::adamw>());
  CHECK(is_as_replicated<test::mesh_gpt2, mesh_of<3, 2, 1>, mpx::bf16_mixed, 3, mpx::adam>());
  CHECK(is_as_replicated<test::mesh_gpt2, mesh_of<2, 1, 2>, mpx::bf16_mixed, 4, mpx::adam, mpx::canonical_sum>());
}

TEST_CASE("a sharded optimizer trains an untied gpt2 to the same bits", "[mesh][shard_optimizer]") {
  CHECK(is_as_replicated<test::mesh_gpt2_untied, mesh_of<4, 2, 1>, mpx::bf16_mixed, 2, mpx::sgd_momentum>());
  CHECK(is_as_replicated<test::mesh_gpt2_untied, mesh_of<3, 1, 1>, mpx::f32_only, 3, mpx::adam, mpx::gradient_buckets<mpx::bytes{1}>>());
}

TEST_CASE("a sharded optimizer trains a seq2seq to the same bits", "[mesh][shard_optimizer]") {
  CHECK(is_as_replicated<test::mesh_seq2seq, mesh_of<2, 2, 2>, mpx::bf16_mixed, 4, mpx::adam>());
  CHECK(is_as_replicated<test::mesh_seq2seq, mesh_of<4, 1, 1>, mpx::f32_only, 2, mpx::adam, mpx::canonical_sum>());
}

TEST_CASE("a sharded table of several portions is trained to the same bits", "[mesh][shard_optimizer]") {
  CHECK(is_as_replicated<large_table, mesh_of<2, 2, 1>, mpx::bf16_mixed, 4, mpx::adam>());
  CHECK(is_as_replicated<large_table, mesh_of<3, 1, 1>, mpx::f32_only, 3, mpx::adam>());
}

TEST_CASE("a user's own optimizer is sharded like any other", "[mesh][shard_optimizer]") {
  CHECK(is_as_replicated<test::mesh_gpt2, mesh_of<2, 1, 1>, mpx::bf16_mixed, 4, sign_momentum>());
}

TEST_CASE("on one data rank a sharded optimizer is none", "[mesh][shard_optimizer]") {
  using whole = test::mesh_recipe<mesh_of<1, 2, 1>, mpx::bf16_mixed, eager<8>, mpx::adam>;
  using alone = test::mesh_recipe<mesh_of<1, 2, 1>, mpx::bf16_mixed, eager<8>, mpx::adam, sharded>;
  STATIC_REQUIRE(mpx::plan_v<test::mesh_gpt2, whole>.arena_bytes == mpx::plan_v<test::mesh_gpt2, alone>.arena_bytes);
  CHECK(is_as_replicated<test::mesh_gpt2, mesh_of<1, 2, 1>, mpx::bf16_mixed, 8, mpx::adam>());
}

TEST_CASE("slices of all data ranks are the whole model, and all ranks read the same weights", "[mesh][shard_optimizer]") {
  test::slices_are_all_there<test::mesh_gpt2, test::mesh_recipe<mesh_of<2, 2, 2>, mpx::bf16_mixed, eager<4>, mpx::adam, sharded>>();
  test::slices_are_all_there<test::mesh_seq2seq, test::mesh_recipe<mesh_of<3, 1, 1>, mpx::f32_only, eager<3>, mpx::adam, sharded>>();
  test::slices_are_all_there<large_table, test::mesh_recipe<mesh_of<4, 1, 1>, mpx::bf16_mixed, eager<2>, mpx::adam, sharded>>();
}

TEST_CASE("a divided state takes the bytes of its plan, and its slices travel as planned", "[mesh][shard_optimizer]") {
  test::divides_what_is_planned<test::mesh_gpt2, test::mesh_recipe<mesh_of<2, 2, 1>, mpx::bf16_mixed, eager<4>, mpx::adam, sharded>>();
  test::divides_what_is_planned<test::mesh_gpt2, test::mesh_recipe<mesh_of<3, 1, 1>, mpx::bf16_mixed, eager<3>, mpx::adam, sharded>>();
  test::divides_what_is_planned<test::mesh_seq2seq, test::mesh_recipe<mesh_of<3, 1, 2>, mpx::f32_only, eager<3>, mpx::sgd_momentum, sharded>>();
  test::divides_what_is_planned<test::mesh_gpt2_untied, test::mesh_recipe<mesh_of<4, 3, 1>, mpx::bf16_mixed, eager<3>, mpx::adamw, sharded,
                                                                          mpx::gradient_buckets<mpx::bytes{1}>>>();
}

TEST_CASE("values that are set reach every slice, tied copies included", "[mesh][shard_optimizer]") {
  using recipe = test::mesh_recipe<mesh_of<3, 2, 1>, mpx::bf16_mixed, eager<3>, mpx::adam, sharded>;
  mpx::trainer<test::mesh_gpt2, recipe> from{{.lr = {.peak = 1e-2f}, .seed = 1}}, to{{.lr = {.peak = 1e-2f}, .seed = 2}};
  for (int step = 0; step < 2; ++step) from.step(test::mesh_batch(step));
  from.each_parameter([&](std::string const& name, auto const& p) {
    if (p.info->tied_to.empty()) to.set_parameter(name, from.parameter(name));
  });
  CHECK(test::same_bytes(test::all_parameters(from), test::all_parameters(to)));
  CHECK(from.evaluate(test::mesh_batch(3)) == to.evaluate(test::mesh_batch(3)));
}
