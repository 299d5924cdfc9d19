// Layers over a machine that does more in one call: where each part of the call is the host's own operation, every parameter
// is, bit by bit, what layers over the host's machine learn.
#include <mpx_test.hpp>

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

/// All parameters after 2 steps.
template <class Model, class Recipe, class Backend>
std::vector<std::vector<float>> after_2_steps(float dropout) {
  mpx::basic_trainer<Model, Recipe, Backend> trainer{{.lr = {.warmup = 10}, .seed = 3, .dropout = dropout}};
  for (int step = 0; step < 2; ++step) {
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
void keeps_the_hosts_bits() {
  auto const host = after_2_steps<Model, Recipe, mpx::on_host::backend>(0.2f);
  test::row_sums_asked = 0;
  bool const same_bits = host == after_2_steps<Model, Recipe, test::one_by_one_backend>(0.2f);
  CHECK(same_bits);
  CHECK(test::row_sums_asked > 0);
}

}  // namespace

TEST_CASE("bias gradients from products are those of the host, microbatch by microbatch", "[layer][products]") {
  keeps_the_hosts_bits<gpt2, recipe<gpipe, mpx::f32_only>>();
  keeps_the_hosts_bits<gpt2, recipe<gpipe, mpx::bf16_mixed>>();
  keeps_the_hosts_bits<seq2seq, recipe<gpipe, mpx::bf16_mixed>>();
}

TEST_CASE("bias gradients from products are those of the host where tensor ranks divide columns or rows", "[layer][products]") {
  keeps_the_hosts_bits<gpt2, recipe<gpipe, mpx::f32_only, two_ranks>>();
  keeps_the_hosts_bits<seq2seq, recipe<gpipe, mpx::f32_only, two_ranks>>();
  keeps_the_hosts_bits<gpt2, recipe<gpipe, mpx::f32_only, two_ranks, mpx::sequence_parallel>>();
}

TEST_CASE("bias gradients from products are those of the host where backwards are split", "[layer][products]") {
  keeps_the_hosts_bits<gpt2, recipe<mpx::zb_h1<mpx::microbatches<3>>, mpx::f32_only>>();
}
