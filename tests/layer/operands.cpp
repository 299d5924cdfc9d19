// Mirrors include/mpx/layer/operands.hpp: where a tensor rank's operands stand, and how they lie.
#include <mpx/layer/operands.hpp>

#include <array>
#include <cstddef>
#include <vector>

#include <mpx/host/backend.hpp>
#include <mpx/model/attention.hpp>
#include <mpx/model/cross_entropy.hpp>
#include <mpx/model/linear.hpp>
#include <mpx/plan/parameter_table.hpp>

#include <mpx_test.hpp>

namespace {

using enum mpx::spread;
template <class T, std::size_t N>
using ranks_of = mpx::layer_context<mpx::on_host::machine, T, mpx::rank_of<mpx::on_host::group, N>>;
using alone = mpx::layer_context<mpx::on_host::machine, float>;

// Four heads of 6 columns; parameters qkv [72, 8] and [72], out [8, 24] and [8].
using mpx::init::zeros;
using attention = mpx::self_attention<8, 4, true, mpx::axis::target, zeros, zeros, mpx::head_width<6>>;
template <class C>
using of_attention = mpx::operands<attention, C>;

/// Memory of one rank, to count from.
struct memory {
  mpx::on_host::machine machine;
  mpx::scratch_space scratch;
  mpx::step_values step;
  std::vector<float> weights = std::vector<float>(1000), gradients = std::vector<float>(1000);
  std::vector<std::byte> kept = std::vector<std::byte>(10'000);

  // Of 2 sequences of at most 5 tokens.
  template <class C>
  C context() {
    return C{machine, scratch, step, {}, {2, {0, 5}, C::tensor_ranks}};
  }
};

template <std::size_t I, class Operands, std::size_t N>
bool stands_where_described(Operands const& o, std::array<mpx::parameter_info, N> const& list) {
  return o.template parameter<I>().data == o.weights + list[I].offset &&
         o.template gradient<I>().data == o.gradients + list[I].offset;
}

template <class L, class C>
constexpr mpx::spread takes = mpx::input_view<L, C>::mesh_layout.tensor;
template <class L, class C>
constexpr mpx::spread gives = mpx::output_view<L, C>::mesh_layout.tensor;
template <class L, class C>
constexpr mpx::spread hears = mpx::output_gradient_view<L, C>::mesh_layout.tensor;
template <class L, class C>
constexpr mpx::spread says = mpx::input_gradient_view<L, C>::mesh_layout.tensor;

template <class Split>
using dense = mpx::linear<8, 12, mpx::axis::target, zeros, mpx::biased, Split>;
using outputs = dense<mpx::split_outputs<>>;
using inputs = dense<mpx::split_inputs>;
using two = ranks_of<float, 2>;

}  // namespace

// Streams lie as their layers describe them, gradients as the algebra says.
static_assert(takes<dense<mpx::whole>, two> == invariant && gives<dense<mpx::whole>, two> == invariant);
static_assert(takes<outputs, two> == invariant && gives<outputs, two> == sharded_1);
static_assert(hears<outputs, two> == sharded_1 && says<outputs, two> == invariant);
static_assert(takes<inputs, two> == sharded_1 && gives<inputs, two> == invariant);
static_assert(hears<inputs, two> == invariant && says<inputs, two> == sharded_1);
static_assert(takes<mpx::cross_entropy<16>, two> == sharded_1 && says<mpx::cross_entropy<16>, two> == sharded_1);

TEST_CASE("parameters and their gradients stand where the table says, on any number of ranks", "[layer][operands]") {
  memory m;
  auto const check = [&]<class C>(C const& c) {
    of_attention<C> const o{c, m.weights.data(), m.gradients.data(), nullptr, m.kept.data()};
    auto const& list = mpx::parameters_of<attention, C::tensor_ranks>;
    CHECK(stands_where_described<0>(o, list));
    CHECK(stands_where_described<1>(o, list));
    CHECK(stands_where_described<2>(o, list));
    CHECK(stands_where_described<3>(o, list));
    return o.template parameter<3>().data - o.weights;
  };
  // 576, 72 and 192 elements stand before the last one, each in whole lines of 32: 96 for 72.
  CHECK(check(m.context<alone>()) == 576 + 96 + 192);
  CHECK(check(m.context<two>()) == 288 + 64 + 96);
  CHECK(check(m.context<ranks_of<float, 4>>()) == 160 + 32 + 64);
}

TEST_CASE("operands know how they lie", "[layer][operands]") {
  memory m;
  auto const c = m.context<two>();
  of_attention<two> const o{c, m.weights.data(), m.gradients.data(), nullptr, m.kept.data()};
  static_assert(decltype(o.parameter<0>())::mesh_layout == mpx::parameter_layout(sharded_0));
  static_assert(decltype(o.parameter<2>())::mesh_layout == mpx::parameter_layout(sharded_1));
  static_assert(decltype(o.parameter<3>())::mesh_layout == mpx::parameter_layout(invariant));
  // A data rank's gradient is a part of the sum; over tensor ranks a slice's is a slice.
  static_assert(decltype(o.gradient<0>())::mesh_layout == mpx::layout{sharded_0, partial, partial});
  static_assert(decltype(o.gradient<3>())::mesh_layout == mpx::layout{invariant, partial, partial});
  static_assert(decltype(o.kept<0>())::mesh_layout == mpx::activation_layout(invariant));
  static_assert(decltype(o.kept<1>())::mesh_layout == mpx::activation_layout(sharded_1));
  static_assert(decltype(o.constant())::mesh_layout == mpx::parameter_layout(invariant));
  CHECK(o.kept<0>().data == static_cast<void*>(m.kept.data()));
}

TEST_CASE("what a rank keeps stands in whole cache lines, slice behind slice", "[layer][operands]") {
  memory m;
  // 10 rows: x of 8, qkv of 72, the heads' output of 24, a log of sums for each of 4 heads.
  auto const begins = [&]<class C>(C const& c) {
    of_attention<C> const o{c, nullptr, nullptr, nullptr, m.kept.data()};
    auto const at = [&](auto const* data) { return reinterpret_cast<std::byte const*>(data) - m.kept.data(); };
    return std::vector<long>{at(o.template kept<0>().data), at(o.template kept<1>().data),
                             at(o.template kept<2>().data), at(o.template kept<3>().data)};
  };
  CHECK(begins(m.context<alone>()) == std::vector<long>{0, 320, 320 + 2880, 320 + 2880 + 960});
  // Halves of 2880 and 960 bytes, to the next multiple of 64.
  CHECK(begins(m.context<two>()) == std::vector<long>{0, 320, 320 + 1472, 320 + 1472 + 512});
  // In bf16 half of that, but for the logs: 160, 720 and 240 bytes.
  CHECK(begins(m.context<ranks_of<mpx::bf16, 2>>()) == std::vector<long>{0, 192, 192 + 768, 192 + 768 + 256});
}
