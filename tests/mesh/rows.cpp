// Where tensor ranks divide rows: the same bits but for sums of gradients over rows, and what the plan says.
#include "mesh.hpp"

namespace {

using rows = mpx::sequence_parallel;
using test::mesh_of;

/// Gradients of one step by name, with its loss.
struct named_gradients {
  double loss = 0;
  std::map<std::string, std::vector<double>> of;
  std::map<std::string, mpx::spread> over_tensor;
};

template <class Model, class Mesh, class Precision, class... More>
named_gradients gradients_on() {
  using recipe = test::mesh_recipe<Mesh, Precision, mpx::one_f_one_b<test::share_of_microbatches<Mesh>>, mpx::sgd, More...>;
  mpx::trainer<Model, recipe> trainer{{.lr = {.peak = 0}, .seed = 5, .dropout = 0.1f}};
  named_gradients out;
  out.loss = trainer.step(test::mesh_batch(1)).loss;
  trainer.each_parameter([&](std::string const& name, auto const& p) { out.over_tensor[name] = p.info->over_tensor; });
  for (auto const& [name, over] : out.over_tensor) {
    auto const g = trainer.gradient(name);
    out.of[name].assign(g.begin(), g.end());
  }
  return out;
}

/// Loss, logits and the gradients of slices have the same bits as without; those of whole parameters are added up in
/// another order. (mesh_batch(1) has 14 sequences of 6 tokens in 8 microbatches: 6 and 12 rows, uneven on 4 ranks.)
template <class Model, class Mesh, class Precision>
void has_the_bits_of_whole_rows() {
  auto const with = gradients_on<Model, Mesh, Precision, rows>(), without = gradients_on<Model, Mesh, Precision>();
  CHECK(with.loss == without.loss);
  std::size_t slices = 0, otherwise = 0;
  for (auto const& [name, over] : with.over_tensor) {
    INFO(name);
    if (mpx::sharded(over)) CHECK(with.of.at(name) == without.of.at(name));
    (mpx::sharded(over) ? slices : otherwise) += with.of.at(name) != without.of.at(name) ? 1 : 0;
  }
  CHECK(slices == 0);
  CHECK(otherwise > 0);
  CHECK(test::answers_on<Model, Mesh, Precision, rows>() == test::answers_on<Model, Mesh, Precision>());
}

template <class Model, class Mesh, class... More>
constexpr auto& plan = mpx::plan_v<Model, test::mesh_recipe<Mesh, mpx::f32_only, mpx::one_f_one_b<test::share_of_microbatches<Mesh>>, More...>>;

}  // namespace

// 12 target rows and as many source rows on two ranks: a link carries half as much, and a slot holds less.
static_assert(plan<test::mesh_seq2seq, mesh_of<1, 2, 2>, rows>.link_bytes(0).count * 2 ==
              plan<test::mesh_seq2seq, mesh_of<1, 2, 2>>.link_bytes(0).count);
static_assert(plan<test::mesh_gpt2, mesh_of<1, 1, 4>, rows>.stages[0].slot_size <
              plan<test::mesh_gpt2, mesh_of<1, 1, 4>>.stages[0].slot_size);
// Of a block's 12 rows of 32 f32: x, its normalised copy and the two statistics, for attention and for the mlp.
constexpr std::size_t block_rows = 2 * (2 * 12 * 32 + 2 * 12) * 4;
static_assert(plan<test::mesh_gpt2, mesh_of<1, 1, 2>>.layers[1].saved_bytes -
                  plan<test::mesh_gpt2, mesh_of<1, 1, 2>, rows>.layers[1].saved_bytes <= block_rows / 2 + 4 * 64 &&
              plan<test::mesh_gpt2, mesh_of<1, 1, 2>>.layers[1].saved_bytes -
                  plan<test::mesh_gpt2, mesh_of<1, 1, 2>, rows>.layers[1].saved_bytes >= block_rows / 2 - 4 * 64);
// Without tensor ranks it is the same plan.
static_assert(plan<test::mesh_gpt2, mesh_of<2, 2, 1>, rows>.arena_bytes == plan<test::mesh_gpt2, mesh_of<2, 2, 1>>.arena_bytes);

TEST_CASE("slices of the rows give the bits of whole rows, but for gradients of whole parameters", "[mesh][sequence_parallel]") {
  has_the_bits_of_whole_rows<test::mesh_gpt2, mesh_of<1, 1, 4>, mpx::f32_only>();
  has_the_bits_of_whole_rows<test::mesh_seq2seq, mesh_of<1, 2, 2>, mpx::bf16_mixed>();
}

TEST_CASE("arenas, sums, gathers and messages of divided rows are those of the plan", "[mesh][sequence_parallel][plan]") {
  test::counts_what_is_planned<test::mesh_seq2seq, mesh_of<1, 2, 2>, mpx::bf16_mixed, rows>();
  test::counts_what_is_planned<test::mesh_gpt2, mesh_of<2, 1, 4>, mpx::f32_only, rows>();
  test::counts_what_is_planned<test::mesh_gpt2, mesh_of<1, 2, 2>, mpx::f32_only, rows, mpx::recompute_block>();
}

TEST_CASE("llama and t5 with slices of the rows compute what one device computes", "[mesh][sequence_parallel]") {
  using grouped = mpx::llama<mpx::vocabulary<64>, mpx::width<32>, mpx::heads<8>, mpx::key_value_heads<4>, mpx::feed_forward<64>,
                             mpx::layers<2>, mpx::context<16>>;
  auto const llama = test::reference<grouped, mpx::f32_only>();
  test::is_within_the_bound_of<grouped, mpx::f32_only, 1, 2, 2, rows>(llama);
  auto const t5 = test::reference<test::mesh_t5, mpx::f32_only>();
  test::is_within_the_bound_of<test::mesh_t5, mpx::f32_only, 1, 2, 2, rows>(t5);
  test::is_within_the_bound_of<test::mesh_t5, mpx::f32_only, 1, 1, 4, rows>(t5);
}
