// Mirrors include/mpx/plan/partition.hpp.
#include <mpx/plan/partition.hpp>

#include <type_traits>

#include <models.hpp>
#include <mpx_test.hpp>

namespace {

template <class Placement>
using placed = mpx::recipe<Placement, mpx::microbatch_capacity<mpx::sequences<2>, mpx::source_tokens<8>, mpx::target_tokens<8>>>;
template <class Model, class Placement, std::size_t Stage>
using stage = mpx::stage_layers_t<Model, placed<Placement>, Stage>;
template <class... Runs>
using layers = mpx::stage_layers<Runs...>;

using gpt2 = test::small_gpt2;
using parts = mpx::detail::gpt2_parts<mpx::vocabulary<61>, mpx::width<32>, mpx::heads<4>, mpx::layers<2>, mpx::context<16>>;
template <std::size_t N>
using blocks = mpx::run<parts::block, N>;
using embedding = mpx::run<mpx::learned_embedding<61, 32, 16>, 1>;
using norm = mpx::run<mpx::layer_norm<32>, 1>;
using head = mpx::run<parts::head, 1>;
using loss = mpx::run<mpx::cross_entropy<61>, 1>;

using seq2seq = test::small_seq2seq;
using encoder_decoder = mpx::place_at<mpx::at<"encoder", mpx::host<0>>, mpx::at<"decoder", mpx::host<1>>>;

/// A user's own placement: two layers for each device, in turn on two of them.
struct pairs_in_turn {
  template <std::size_t N>
  static constexpr std::array<mpx::device, N> assign(std::array<mpx::layer_info, N> const&) {
    std::array<mpx::device, N> where{};
    for (std::size_t i = 0; i < N; ++i) where[i] = {mpx::device_kind::host, static_cast<int>(i / 2 % 2)};
    return where;
  }
};

/// Another one: by name, the ends on a device of their own.
struct ends_apart {
  template <std::size_t N>
  static constexpr std::array<mpx::device, N> assign(std::array<mpx::layer_info, N> const& rows) {
    std::array<mpx::device, N> where{};
    for (std::size_t i = 0; i < N; ++i)
      where[i] = rows[i].name.within("layers") ? mpx::device(mpx::host<1>{}) : mpx::device(mpx::host<0>{});
    return where;
  }
};
using deep = mpx::gpt2<mpx::vocabulary<61>, mpx::width<32>, mpx::heads<4>, mpx::layers<9>, mpx::context<16>>;

constexpr mpx::device a = mpx::host<0>{}, b = mpx::host<1>{};

}  // namespace

static_assert(mpx::count_stages(std::array{a, a, b, b, a}) == 3 && mpx::count_devices(std::array{a, a, b, b, a}) == 2);
static_assert(mpx::count_stages(std::array{a}) == 1 && mpx::count_devices(std::array{b, b}) == 1);
static_assert(mpx::stage_bounds<3>(std::array{a, a, b, b, a}) == std::array<std::size_t, 4>{0, 2, 4, 5});

// gpt2: embedding, layers.0, layers.1, norm, head, loss.
static_assert(std::is_same_v<stage<gpt2, mpx::place_all<>, 0>, layers<embedding, blocks<2>, norm, head, loss>>);
static_assert(std::is_same_v<stage<gpt2, mpx::place_evenly<2>, 0>, layers<embedding, blocks<2>>>);
static_assert(std::is_same_v<stage<gpt2, mpx::place_evenly<2>, 1>, layers<norm, head, loss>>);
static_assert(std::is_same_v<stage<gpt2, mpx::place_evenly<3>, 0>, layers<embedding, blocks<1>>>);
static_assert(std::is_same_v<stage<gpt2, mpx::place_evenly<3>, 1>, layers<blocks<1>, norm>>);
static_assert(std::is_same_v<stage<gpt2, mpx::place_evenly<3>, 2>, layers<head, loss>>);
static_assert(std::is_same_v<stage<gpt2, mpx::place_evenly<4>, 1>, layers<blocks<1>>>);
static_assert(std::is_same_v<stage<gpt2, mpx::place_evenly<4>, 2>, layers<norm, head>>);
static_assert(std::is_same_v<stage<gpt2, mpx::place_at<mpx::at<"embedding", mpx::host<0>>, mpx::at<"layers", mpx::host<1>>,
                                                       mpx::at<"norm", mpx::host<0>>, mpx::at<"head", mpx::host<0>>,
                                                       mpx::at<"loss", mpx::host<0>>>, 1>,
                             layers<blocks<2>>>);
static_assert(std::is_same_v<stage<gpt2, ends_apart, 1>, layers<blocks<2>>>);

// seq2seq: four layers of the encoder, six of the decoder.
using encoder_runs = layers<mpx::run<mpx::sinusoidal_embedding<11, 32, 16, "source", mpx::axis::source>, 1>,
                            mpx::run<mpx::encoder_block<mpx::source_vocabulary<11>, mpx::target_vocabulary<13>, mpx::width<32>,
                                                        mpx::heads<4>, mpx::feed_forward<64>, mpx::encoder_layers<2>,
                                                        mpx::decoder_layers<2>, mpx::context<16>>, 2>,
                            mpx::run<mpx::gives_as<"memory", mpx::layer_norm<32, mpx::axis::source>>, 1>>;
static_assert(std::is_same_v<stage<seq2seq, encoder_decoder, 0>, encoder_runs>);

// Nine blocks and two to a stage: stages 1, 2 and 3 are the same type, so that one instantiation serves all of them.
static_assert(std::is_same_v<stage<deep, pairs_in_turn, 1>, stage<deep, pairs_in_turn, 2>>);
static_assert(std::is_same_v<stage<deep, pairs_in_turn, 2>, stage<deep, pairs_in_turn, 3>>);
static_assert(!std::is_same_v<stage<deep, pairs_in_turn, 0>, stage<deep, pairs_in_turn, 1>>);

namespace {

template <class... Runs>
constexpr std::size_t count(mpx::stage_layers<Runs...>) {
  return (Runs::count + ... + 0);
}
template <class Model, class Placement>
constexpr std::size_t layers_in_all_stages = [] {
  constexpr auto& where = mpx::placement_v<Model, placed<Placement>>;
  return []<std::size_t... S>(std::index_sequence<S...>) {
    return (count(stage<Model, Placement, S>{}) + ...);
  }(std::make_index_sequence<mpx::count_stages(where)>{});
}();

}  // namespace

TEST_CASE("the stages of any placement hold every layer once", "[plan][partition]") {
  CHECK(layers_in_all_stages<gpt2, mpx::place_all<>> == 6);
  CHECK(layers_in_all_stages<gpt2, mpx::place_evenly<2>> == 6);
  CHECK(layers_in_all_stages<gpt2, mpx::place_evenly<3>> == 6);
  CHECK(layers_in_all_stages<gpt2, mpx::place_evenly<4>> == 6);
  CHECK(layers_in_all_stages<gpt2, ends_apart> == 6);
  CHECK(layers_in_all_stages<seq2seq, mpx::place_all<>> == 10);
  CHECK(layers_in_all_stages<seq2seq, mpx::place_evenly<2>> == 10);
  CHECK(layers_in_all_stages<seq2seq, mpx::place_evenly<3>> == 10);
  CHECK(layers_in_all_stages<seq2seq, mpx::place_evenly<4>> == 10);
  CHECK(layers_in_all_stages<seq2seq, encoder_decoder> == 10);
  CHECK(layers_in_all_stages<seq2seq, pairs_in_turn> == 10);
  CHECK(layers_in_all_stages<deep, pairs_in_turn> == 13);
}

TEST_CASE("a placement that comes back to a device gives it several stages", "[plan][partition]") {
  constexpr auto& where = mpx::placement_v<deep, placed<pairs_in_turn>>;
  CHECK(mpx::count_stages(where) == 7);
  CHECK(mpx::count_devices(where) == 2);
}
