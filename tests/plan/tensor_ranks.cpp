// Mirrors include/mpx/plan/tensor_ranks.hpp. The verdicts' texts are in tests/compile_fail/mesh_*.
#include <mpx/plan/plan.hpp>

#include <mpx/model/llama.hpp>

#include <models.hpp>
#include <mpx_test.hpp>

namespace {

/// Is this the first thing that so many ranks cannot share?
template <class L>
constexpr bool first_is(std::size_t ranks, mpx::divided what, std::size_t size) {
  auto const found = mpx::detail::find_indivisible<L>(ranks);
  return found.exists() && found.what == what && found.size == size;
}
template <class L>
constexpr bool shared_by(std::size_t ranks) {
  return !mpx::detail::find_indivisible<L>(ranks).exists();
}
using enum mpx::divided;
using enum mpx::spread;

}  // namespace

// Four heads of 8 columns, 64 hidden columns.
using block = mpx::transformer_block<mpx::width<32>, mpx::heads<4>, mpx::feed_forward<64>>;
static_assert(shared_by<block>(1) && shared_by<block>(2) && shared_by<block>(4));
static_assert(first_is<block>(3, heads, 4) && first_is<block>(8, heads, 4));
static_assert(first_is<mpx::decoder_block<mpx::width<32>, mpx::heads<4>>>(3, heads, 4));
static_assert(first_is<mpx::cross_attention<12, 6>>(4, heads, 6) && shared_by<mpx::cross_attention<12, 6>>(3));

// Four heads share two of keys and values.
using grouped = mpx::llama_block<32, 4, 64, mpx::init::normal<20>, mpx::init::normal<20>, 2>;
static_assert(shared_by<grouped>(2) && first_is<grouped>(4, key_value_heads, 2) && first_is<grouped>(3, heads, 4));

// A bias by distance has a column for each head.
using relative = mpx::self_attention<12, 6, false, mpx::axis::source, mpx::init::unit_rows, mpx::init::unit_rows,
                                     mpx::relative_bias<>>;
static_assert(shared_by<relative>(6) && first_is<relative>(4, heads, 6));

// Hidden columns: the mlp's, and the gated one's, whose gates and values are each shared.
using wide = mpx::transformer_block<mpx::width<32>, mpx::heads<4>, mpx::feed_forward<66>>;
static_assert(shared_by<wide>(2) && first_is<wide>(4, columns, 66));
static_assert(shared_by<mpx::gated_mlp<8, 6>>(2) && first_is<mpx::gated_mlp<8, 6>>(4, columns, 6));
static_assert(first_is<mpx::gated_mlp<8, 7>>(2, columns, 7));  // 14 columns together, 7 in each part
// A layer without parameters, by what it keeps.
static_assert(first_is<mpx::activation<mpx::gelu, 10, mpx::axis::target, sharded_1>>(4, columns, 10));
static_assert(shared_by<mpx::activation<mpx::gelu, 10>>(4));

// Vocabularies, wherever they stand.
static_assert(first_is<mpx::token_embedding<61, 8, "inputs">>(2, vocabulary, 61));
static_assert(first_is<mpx::language_head<8, 61>>(2, vocabulary, 61));
static_assert(first_is<mpx::cross_entropy<61>>(2, vocabulary, 61));
static_assert(shared_by<mpx::cross_entropy<61, invariant>>(2) && shared_by<mpx::token_embedding<61, 8, "inputs">>(61));

// What is whole on each rank is shared by any number.
static_assert(shared_by<mpx::linear<7, 5>>(64) && shared_by<mpx::layer_norm<7>>(64) && shared_by<mpx::dropout<7>>(64));
static_assert(shared_by<mpx::learned_positions<5, 7>>(64));

// Within a composition, the first in its order: 2 heads before 6 hidden columns.
static_assert(first_is<mpx::residual<mpx::layer_norm<8>, mpx::self_attention<8, 2, true>>>(4, heads, 2));
static_assert(first_is<mpx::llama_block<8, 2, 6>>(4, heads, 2));
static_assert(first_is<mpx::sequential<mpx::gated_mlp<8, 6>, mpx::llama_block<8, 2, 6>>>(4, columns, 6));

namespace {

template <std::size_t Tensor, class... Policies>
using ranks = mpx::recipe<mpx::mesh<mpx::tensor<Tensor>>, Policies...,
                          mpx::microbatch_capacity<mpx::sequences<2>, mpx::source_tokens<8>, mpx::tokens<8>>>;
template <class Model, std::size_t Tensor>
using verdict = mpx::detail::ranks_share_evenly<Model, ranks<Tensor>>;

template <std::size_t Pipeline, class Placement>
constexpr bool placed = mpx::detail::mesh_has_the_devices<
    test::small_gpt2, mpx::recipe<mpx::mesh<mpx::pipeline<Pipeline>>, Placement,
                                  mpx::microbatch_capacity<mpx::sequences<2>, mpx::tokens<8>>>>::holds;

}  // namespace

// A vocabulary of 61, or of 13, on two ranks; 4 heads, or 2, on three.
static_assert(verdict<test::small_gpt2, 1>::holds && !verdict<test::small_gpt2, 2>::holds);
static_assert(verdict<test::small_t5, 1>::holds && !verdict<test::small_t5, 2>::holds);
static_assert(verdict<mpx::with_padded_vocabulary<test::small_gpt2, 4>, 4>::holds);
static_assert(verdict<mpx::with_padded_vocabulary<test::small_gpt2, 3>, 3>::first.what.what == heads);
static_assert(verdict<mpx::with_padded_vocabulary<test::small_t5, 2>, 2>::holds);

TEST_CASE("a verdict names the first layer that its ranks cannot share", "[plan][tensor_ranks]") {
  using padded = mpx::with_padded_vocabulary<test::small_seq2seq, 8>;  // 16 and 16; 4 heads
  CHECK(verdict<padded, 4>::holds);
  using uneven = verdict<padded, 8>;
  CHECK_FALSE(uneven::holds);
  CHECK(mpx::layers_v<padded, ranks<8>>[uneven::row].name.text() == "encoder.layers.0");
  CHECK(uneven::first.what.size == 4);

  using target = mpx::seq2seq<mpx::source_vocabulary<16>, mpx::target_vocabulary<13>, mpx::width<32>, mpx::heads<4>>;
  CHECK(mpx::layers_v<target, ranks<2>>[verdict<target, 2>::row].name.text() == "decoder.embedding");
}

TEST_CASE("a pipeline axis is as long as its placement has devices", "[plan][tensor_ranks]") {
  CHECK(placed<2, mpx::place_evenly<2>>);
  CHECK(placed<1, mpx::place_all<>>);
  CHECK_FALSE(placed<2, mpx::place_all<>>);
  CHECK_FALSE(placed<2, mpx::place_evenly<3>>);
}
