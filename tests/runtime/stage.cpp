// Mirrors include/mpx/runtime/stage.hpp: parameters as the ranks of a mesh first hold them.
#include <mpx_test.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <mpx/mpx.hpp>

#include "support/models.hpp"

namespace {

using capacity = mpx::microbatch_capacity<mpx::sequences<1>, mpx::source_tokens<4>, mpx::tokens<4>>;
template <class Model, class... Axes>
using on = mpx::trainer<Model, mpx::recipe<mpx::mesh<Axes...>, capacity>>;
using gpt2 = mpx::with_padded_vocabulary<test::small_gpt2, 4>;
using llama = mpx::llama<mpx::vocabulary<16>, mpx::width<16>, mpx::heads<4>, mpx::feed_forward<24>, mpx::layers<1>>;
// Its q begins smaller than its k and v, and its heads are wider together than the model.
using t5 = mpx::t5<mpx::vocabulary<16>, mpx::width<16>, mpx::heads<4>, mpx::head_width<6>, mpx::feed_forward<24>,
                   mpx::encoder_layers<2>, mpx::decoder_layers<1>>;

using named_values = std::vector<std::pair<std::string, std::vector<float>>>;

/// Every parameter of a trainer, from the slices of all ranks.
template <class Trainer>
named_values gathered(Trainer& trainer) {
  named_values out;
  trainer.each_parameter(
      [&](std::string const& name, auto const&) { out.emplace_back(name, trainer.parameter(name)); });
  return out;
}

/// Is what each data and tensor rank holds of each parameter its slice of these values, bit for bit?
template <class Trainer>
void each_rank_holds(Trainer& trainer, named_values const& whole) {
  CHECK(gathered(trainer) == whole);
  constexpr auto& plan = Trainer::plan;
  for (std::size_t d = 0; d < plan.mesh.data; ++d)
    for (std::size_t t = 0; t < plan.mesh.tensor; ++t) {
      std::size_t k = 0, wrong = 0, held = 0;
      trainer.devices().at(d, t).each_stage([&](auto& stage) {
        stage.each_parameter([&](auto const& p) {
          auto const& values = whole[k++].second;
          held += p.info->count;
          for (std::size_t i = 0; i < p.info->count; ++i) wrong += p.master[i] != values[p.info->whole_index(i, t)];
        });
      });
      INFO("data rank " << d << ", tensor rank " << t << " of " << plan.mesh.tensor);
      CHECK(k == whole.size());
      CHECK(wrong == 0);
      CHECK(held > 0);
    }
}

template <class Model>
named_values alone(std::uint64_t seed) {
  on<Model> trainer{{.seed = seed}};
  return gathered(trainer);
}
template <class Model, class... Axes>
void begins_alike(named_values const& whole, std::uint64_t seed) {
  on<Model, Axes...> trainer{{.seed = seed}};
  each_rank_holds(trainer, whole);
}

}  // namespace

TEST_CASE("first values do not depend on the number of ranks", "[runtime][stage]") {
  auto const of_gpt2 = alone<gpt2>(5);
  CHECK(of_gpt2 != alone<gpt2>(6));
  begins_alike<gpt2, mpx::tensor<2>>(of_gpt2, 5);
  begins_alike<gpt2, mpx::tensor<4>>(of_gpt2, 5);
  begins_alike<gpt2, mpx::data<2>, mpx::pipeline<2>, mpx::tensor<2>>(of_gpt2, 5);

  auto const of_llama = alone<llama>(5);
  begins_alike<llama, mpx::tensor<4>>(of_llama, 5);
  auto const of_t5 = alone<t5>(5);
  begins_alike<t5, mpx::tensor<2>>(of_t5, 5);
}

TEST_CASE("values that are set reach each rank's slice, and every copy of a tied table", "[runtime][stage]") {
  on<gpt2, mpx::data<2>, mpx::tensor<4>> trainer;
  auto whole = gathered(trainer);
  float next = 0;
  for (auto& [name, values] : whole) {
    if (name == "head.weight") values = whole[0].second;  // the embedding's
    else for (float& value : values) value = next++;
    trainer.set_parameter(name, values);
  }
  REQUIRE(whole[0].first == "embedding.token.weight");
  REQUIRE(whole.back().first == "head.weight");
  each_rank_holds(trainer, whole);
}
