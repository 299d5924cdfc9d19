// Layers over a machine that does more in one call: where each part of the call is the host's own operation, every parameter
// is, bit by bit, what layers over the host's machine learn.
#include <mpx_test.hpp>

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include <mpx/mpx.hpp>

#include "support/models.hpp"
#include "support/one_by_one_backend.hpp"

namespace {

using gpt2 = mpx::gpt2<mpx::vocabulary<16>, mpx::width<8>, mpx::heads<2>, mpx::layers<1>, mpx::context<4>>;
using seq2seq = mpx::seq2seq<mpx::source_vocabulary<12>, mpx::target_vocabulary<14>, mpx::width<8>, mpx::heads<2>,
                             mpx::feed_forward<8>, mpx::encoder_layers<1>, mpx::decoder_layers<1>, mpx::context<4>>;

using capacity = mpx::microbatch_capacity<mpx::sequences<2>, mpx::source_tokens<4>, mpx::target_tokens<4>>;
template <class Schedule, class Precision, class... Policies>
using recipe = mpx::recipe<mpx::place_all<>, Schedule, Precision, mpx::clip_by_global_norm, mpx::noam, mpx::sgd, capacity,
                           Policies...>;
using gpipe = mpx::gpipe<mpx::microbatches<3>>;
using two_ranks = mpx::mesh<mpx::tensor<2>>;

/// All parameters after a few steps.
template <class Model, class Recipe, class Backend>
std::vector<std::vector<float>> after_steps(float dropout, int steps = 2) {
  mpx::basic_trainer<Model, Recipe, Backend> trainer{{.lr = {.warmup = 10}, .seed = 3, .dropout = dropout}};
  for (int step = 0; step < steps; ++step) {
    auto const report = trainer.step(test::make_batch(6, 3, 4 - step, 11, 13, static_cast<std::uint32_t>(step)));
    REQUIRE(!report.skipped);
  }
  std::vector<std::string> names;
  trainer.each_parameter([&](std::string const& name, auto const&) { names.push_back(name); });
  std::vector<std::vector<float>> all;
  for (auto const& name : names) all.push_back(trainer.parameter(name));
  REQUIRE(!all.empty());
  return all;
}

template <class Model, class Recipe>
void keeps_the_hosts_bits(float dropout) {
  auto const host = after_steps<Model, Recipe, mpx::on_host::backend>(dropout);
  test::row_sums_asked = test::gelus_asked = test::gelu_gradients_asked = 0;
  bool const same_bits = host == after_steps<Model, Recipe, test::one_by_one_backend>(dropout);
  CHECK(same_bits);
  CHECK(test::row_sums_asked > 0);
}

double distance(std::vector<std::vector<float>> const& a, std::vector<std::vector<float>> const& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    for (std::size_t k = 0; k < a[i].size(); ++k) sum += std::pow(static_cast<double>(a[i][k]) - static_cast<double>(b[i][k]), 2);
  return std::sqrt(sum);
}

/// A dropout behind gelu is applied behind its slope too: the same factors in another order.
template <class Recipe>
void learns_what_the_host_learns() {
  auto const host = after_steps<gpt2, Recipe, mpx::on_host::backend>(0.2f);
  test::gelus_asked = test::gelu_gradients_asked = 0;
  auto const other = after_steps<gpt2, Recipe, test::one_by_one_backend>(0.2f);
  double const moved = distance(host, after_steps<gpt2, Recipe, mpx::on_host::backend>(0.2f, 0));
  CHECK(moved > 0);
  CHECK(distance(host, other) <= 1e-5 * moved);
  CHECK((test::gelus_asked > 0 && test::gelu_gradients_asked > 0));
}

/// gelu in the models' mlp, with no dropout to commute with.
template <class Recipe>
void keeps_the_hosts_gelu() {
  keeps_the_hosts_bits<gpt2, Recipe>(0.0f);
  CHECK((test::gelu_gradients_asked > 0 && test::gelus_asked >= test::gelu_gradients_asked));
}

}  // namespace

TEST_CASE("bias gradients from products are those of the host, microbatch by microbatch", "[layer][products]") {
  keeps_the_hosts_bits<seq2seq, recipe<gpipe, mpx::bf16_mixed>>(0.2f);
}

TEST_CASE("bias gradients from products are those of the host where tensor ranks divide the rows", "[layer][products]") {
  keeps_the_hosts_bits<seq2seq, recipe<gpipe, mpx::f32_only, two_ranks, mpx::sequence_parallel>>(0.2f);
}

TEST_CASE("gelu beside products is the host's, computed again as well", "[layer][products]") {
  keeps_the_hosts_gelu<recipe<gpipe, mpx::bf16_mixed, mpx::recompute_block>>();
}

TEST_CASE("gelu beside products is the host's where tensor ranks divide columns or rows", "[layer][products]") {
  keeps_the_hosts_gelu<recipe<gpipe, mpx::f32_only, two_ranks>>();
  keeps_the_hosts_gelu<recipe<gpipe, mpx::f32_only, two_ranks, mpx::sequence_parallel>>();
}

TEST_CASE("gelu beside products is the host's where backwards are split", "[layer][products]") {
  using halved = recipe<mpx::zb_h1<mpx::microbatches<3>>, mpx::f32_only>;
  keeps_the_hosts_gelu<halved>();
  learns_what_the_host_learns<halved>();
}
