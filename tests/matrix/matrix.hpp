// The plan is the run: one model in one precision, on 1 to 4 devices, under each schedule, activations kept or not.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <mpx_test.hpp>

#include "support/planned.hpp"
#include "support/schedules.hpp"

namespace test {

/// y = x A^T B^T, a layer of the user's own: two products, R columns kept between them, and scratch in backward.
/// Shapes  x, y: [B, T, C], A: [R, C], B: [C, R]
template <std::size_t C, std::size_t R>
struct low_rank : mpx::layer_defaults {
  using row_label = mpx::name<"low_rank">;
  using takes = mpx::message<mpx::stream<"x", C>>;
  using gives = takes;
  using parameters = boost::hana::tuple<mpx::parameter<"down", mpx::shape<R, C>, mpx::init::xavier_uniform>,
                                        mpx::parameter<"up", mpx::shape<C, R>, mpx::init::xavier_uniform>>;
  static constexpr std::array<mpx::tensor_extent, 2> saves{{{mpx::axis::target, C}, {mpx::axis::target, R}}};
  static constexpr std::array<mpx::tensor_extent, 1> backward_scratch{{{mpx::axis::target, R}}};
  static constexpr bool keeps_input = true;
  static constexpr double flops(mpx::extents const& e) { return 4.0 * e.rows(mpx::axis::target) * C * R; }

  template <class Context, class T>
  static void forward(Context const& c, T const* weights, T const*, T const* x, T* y, std::byte* saved) {
    auto const rows = static_cast<std::size_t>(c.rows(mpx::axis::target));
    T* const between = mpx::kept_tensor<low_rank, 1>(c, saved);
    T const* const none = nullptr;
    c.machine.gemm({.m = rows, .n = R, .k = C, .transpose_b = true}, x, weights, between, none);
    c.machine.gemm({.m = rows, .n = C, .k = R, .transpose_b = true}, static_cast<T const*>(between), weights + up, y,
                   none);
  }

  template <class Context, class T, class A>
  static void backward(Context const& c, T const* weights, A* gradients, T const*, T const* dy, T* dx,
                       std::byte* saved) {
    auto const rows = static_cast<std::size_t>(c.rows(mpx::axis::target));
    T const* const x = mpx::kept_tensor<low_rank, 0>(c, saved);
    T const* const between = mpx::kept_tensor<low_rank, 1>(c, saved);
    T const* const none = nullptr;
    T* const d_between = c.template take<T>(backward_scratch[0]);
    c.machine.gemm({.m = C, .n = R, .k = rows, .transpose_a = true, .accumulate = true}, dy, between, gradients + up,
                   none);
    c.machine.gemm({.m = rows, .n = R, .k = C}, dy, weights + up, d_between, none);
    T const* const d = d_between;
    c.machine.gemm({.m = R, .n = C, .k = rows, .transpose_a = true, .accumulate = true}, d, x, gradients, none);
    c.machine.gemm({.m = rows, .n = C, .k = R}, d, weights, dx, none);
  }

 private:
  static constexpr std::size_t up = mpx::padded_elements(R * C);
};

using untied_gpt2 =
    mpx::gpt2<mpx::vocabulary<61>, mpx::width<32>, mpx::heads<4>, mpx::layers<2>, mpx::context<16>, mpx::untied>;
using own_layers = mpx::sequential<mpx::token_embedding<13, 32, "inputs">,
                                   mpx::repeat<2, mpx::residual<mpx::layer_norm<32>, low_rank<32, 8>>>, low_rank<32, 4>,
                                   mpx::dropout<32>, mpx::language_head<32, 13>, mpx::cross_entropy<13>>;

template <class Precision, class Placement, class Schedule, class Recompute>
using matrix_recipe =
    mpx::recipe<Precision, Placement, Schedule, Recompute, mpx::adam, mpx::clip_by_global_norm,
                mpx::microbatch_capacity<mpx::sequences<3>, mpx::source_tokens<6>, mpx::target_tokens<5>>>;

using none = std::vector<std::string>;

template <class Model, class Recipe>
void runs_as_planned(std::string const& cell) {
  INFO(cell);
  auto const& plan = mpx::plan_v<Model, Recipe>;
  CHECK(differences(plan, measure<Model, Recipe>()) == none{});
}

/// Both schedules, activations kept and computed again.
template <class Model, class Precision, std::size_t Devices>
void on_devices() {
  using placement = mpx::place_evenly<Devices>;
  std::string const where = std::to_string(Devices) + " devices, ";
  runs_as_planned<Model, matrix_recipe<Precision, placement, gpipe_4, mpx::keep_activations>>(where + "gpipe");
  runs_as_planned<Model, matrix_recipe<Precision, placement, gpipe_4, mpx::recompute_block>>(where +
                                                                                             "gpipe, recomputed");
  runs_as_planned<Model, matrix_recipe<Precision, placement, one_f_one_b_4, mpx::keep_activations>>(where + "1F1B");
  runs_as_planned<Model, matrix_recipe<Precision, placement, one_f_one_b_4, mpx::recompute_block>>(where +
                                                                                                   "1F1B, recomputed");
}

template <class Model, class Precision>
void on_1_to_4_devices() {
  on_devices<Model, Precision, 1>();
  on_devices<Model, Precision, 2>();
  on_devices<Model, Precision, 3>();
  on_devices<Model, Precision, 4>();
  runs_as_planned<Model, matrix_recipe<Precision, mpx::place_evenly<2>, interleaved_4, mpx::keep_activations>>(
      "2 devices, interleaved");
}

/// Backwards in halves, with activations kept and computed again for each half; two stages on each device, in a V.
template <class Model, class Precision>
void in_halves() {
  using three = mpx::place_evenly<3>;
  runs_as_planned<Model, matrix_recipe<Precision, three, zb_h1_4, mpx::keep_activations>>("zb_h1");
  runs_as_planned<Model, matrix_recipe<Precision, three, zb_h1_4, mpx::recompute_block>>("zb_h1, recomputed");
  runs_as_planned<Model, matrix_recipe<Precision, mpx::place_evenly<2>, zb_v_4, mpx::keep_activations>>("zb_v");
}

/// Each layer on a device of its own: what a device's products add up to is the layer's FLOPs.
template <class Model, class Precision, class Recompute>
void each_layer_as_planned() {
  using any = matrix_recipe<Precision, mpx::place_all<>, gpipe_4, Recompute>;
  constexpr std::size_t layers = mpx::layers_v<Model, any>.size();
  using recipe = matrix_recipe<Precision, mpx::place_evenly<layers>, gpipe_4, Recompute>;
  runs_as_planned<Model, recipe>("each layer alone");

  auto const run = measure<Model, recipe>();
  for (std::size_t i = 0; i < layers; ++i) {
    mpx::layer_info const& layer = mpx::layers_v<Model, any>[i];
    CAPTURE(layer.name.text());
    CHECK(run.forward_flops[i] == 4 * layer.forward_flops);
    CHECK(run.step_flops[i] == 4 * (layer.recomputed ? 4 : 3) * layer.forward_flops);
  }
}

}  // namespace test
