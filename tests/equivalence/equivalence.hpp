// Every mesh of at most 8 devices, under every schedule: what one device computes, to within the bound of tests/mesh/mesh.hpp
// where data or tensor ranks add in another order, and to the bit where only the pipeline's cut or schedule differs.
#pragma once

#include <cstddef>
#include <string>

#include "mesh/mesh.hpp"
#include "support/planned.hpp"

namespace test {

// 24 heads: 1, 2, 3, 4, 6 and 8 ranks divide them, the hidden columns and the vocabulary; 35 heads: 5 and 7 ranks.
template <std::size_t Heads>
using wide_gpt2 = mpx::gpt2<mpx::vocabulary<2 * Heads>, mpx::width<2 * Heads>, mpx::heads<Heads>, mpx::layers<6>, mpx::context<16>>;
template <std::size_t Heads>
using wide_gpt2_untied = mpx::gpt2<mpx::vocabulary<2 * Heads>, mpx::width<2 * Heads>, mpx::heads<Heads>, mpx::layers<6>,
                                   mpx::context<16>, mpx::untied>;
template <std::size_t Heads>
using wide_seq2seq = mpx::seq2seq<mpx::source_vocabulary<2 * Heads>, mpx::target_vocabulary<2 * Heads>, mpx::width<2 * Heads>,
                                  mpx::heads<Heads>, mpx::feed_forward<4 * Heads>, mpx::encoder_layers<3>,
                                  mpx::decoder_layers<3>, mpx::context<16>>;

/// Gradients, loss and norm of the first step, with dropout.
template <class Model, class Recipe>
step_outcome step_under() {
  mpx::trainer<Model, Recipe> trainer{{.lr = {.peak = 0}, .seed = 5, .dropout = 0.1f}};
  keep_away_from_the_kink(trainer);
  return first_step(trainer);
}

/// The lists of actions end, with as many microbatches in flight and as much idle time as planned.
template <class Model, class Recipe>
void waits_as_planned() {
  constexpr auto& plan = mpx::plan_v<Model, Recipe>;
  std::vector<double> forward, backward;
  for (auto const& stage : plan.stages) {
    forward.push_back(stage.forward_flops);
    backward.push_back(2 * stage.forward_flops);
  }
  difference_list differing;
  compare_waiting(differing, plan, forward, backward);
  CHECK(differing.said() == std::vector<std::string>{});
}

/// A model on D data and T tensor ranks. Made, it is compared with one device.
template <class Model, class Precision, std::size_t D, std::size_t T, class... More>
class meshes {
 public:
  /// Of each data rank: stages of each number that is tested must have enough, and `interleaved` must divide them.
  static constexpr std::size_t microbatches = D <= 2 ? 12 : D <= 4 ? 4 : 2;

  template <std::size_t P, class Schedule>
  using recipe = mesh_recipe<mesh_of<D, P, T>, Precision, Schedule, mpx::sgd, More...>;

  meshes() : outcome_(step_under<Model, recipe<1, eager<microbatches>>>()) {
    auto const one = step_under<Model, mesh_recipe<one_device, Precision, eager<12>, mpx::sgd>>();
    CAPTURE(D, T);
    CHECK(excess(one, outcome_, rounding<Precision>) <= 1);
  }

  /// P stage devices give the same bits as one, in the memory, with the messages and in the time that their plan says.
  template <std::size_t P, template <std::size_t> class Schedule>
  void on(std::string const& schedule) const {
    using planned = recipe<P, Schedule<microbatches>>;
    CAPTURE(D, P, T, schedule);
    auto const found = step_under<Model, planned>();
    CHECK(found.layers == outcome_.layers);
    CHECK(found.loss == outcome_.loss);
    CHECK(found.norm == outcome_.norm);
    waits_as_planned<Model, planned>();
    counts_what_is_planned<Model, planned>();
  }
  template <std::size_t P>
  void under_every_schedule() const {
    on<P, late>("gpipe");
    on<P, eager>("1F1B");
    on<P, dealt>("interleaved");
    on<P, halved>("zb_h1");
    on<P, halved_v>("zb_v");
  }

 private:
  step_outcome outcome_;
};

}  // namespace test
