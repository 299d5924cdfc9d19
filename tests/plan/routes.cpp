// Mirrors include/mpx/plan/routes.hpp.
#include <mpx/plan/routes.hpp>

#include <mpx/plan/layer_table.hpp>

#include <models.hpp>
#include <mpx_test.hpp>

namespace {

using recipe = mpx::recipe<mpx::microbatch_capacity<mpx::sequences<2>, mpx::source_tokens<8>, mpx::target_tokens<8>>>;

constexpr auto seq2seq = mpx::make_routing(mpx::layers_v<test::small_seq2seq, recipe>);
constexpr auto gpt2 = mpx::make_routing(mpx::layers_v<test::small_gpt2, recipe>);

constexpr mpx::stream_info x{"x", 8}, memory{"memory", 8, mpx::axis::source};

constexpr mpx::layer_info layer(mpx::stream_info takes, mpx::stream_info gives, mpx::stream_info reads = {}) {
  mpx::layer_info row;
  row.takes = takes;
  row.gives = gives;
  row.reads[0] = reads;
  return row;
}

// 0 gives x, 1 takes it and gives memory, 2 takes memory, 3 takes what 2 gives and reads memory once more.
constexpr std::array<mpx::layer_info, 5> twice{layer({}, x), layer(x, memory), layer(memory, x), layer(x, x, memory), layer(x, {})};
constexpr auto shared = mpx::make_routing(twice);

}  // namespace

// A decoder-only model hands one stream from layer to layer.
static_assert(gpt2.broken.layer == 6 && gpt2.held_count == 0);
static_assert(!gpt2.routes[0].direct && gpt2.routes[1].direct && gpt2.routes[5].direct);

// The encoder's norm, layer 3, gives the memory that both decoder layers, 5 and 6, read.
static_assert(seq2seq.broken.layer == 10 && seq2seq.held_count == 1);
static_assert(seq2seq.held[0].writer == 3 && seq2seq.held[0].last_reader == 6);
static_assert(seq2seq.held[0].stream == mpx::stream_info{"memory", 32, mpx::axis::source});
static_assert(seq2seq.routes[3].gives_held == 0 && seq2seq.routes[3].direct);
static_assert(!seq2seq.routes[4].direct && seq2seq.routes[4].takes_held == -1);  // the decoder begins anew
static_assert(seq2seq.routes[5].reads_held[0] == 0 && seq2seq.routes[6].reads_held[0] == 0 && seq2seq.routes[7].reads_held[0] == -1);

TEST_CASE("a held stream crosses every edge from its writer to its last reader", "[plan][routes]") {
  for (std::size_t edge = 1; edge < 10; ++edge) CHECK(seq2seq.crosses(0, edge) == (edge >= 4 && edge <= 6));
}

TEST_CASE("a stream that the next layer takes and another one reads is held for both", "[plan][routes]") {
  REQUIRE(shared.broken.layer == 5);
  REQUIRE(shared.held_count == 1);
  CHECK(shared.held[0].writer == 1);
  CHECK(shared.held[0].last_reader == 3);
  CHECK(shared.routes[2].takes_held == 0);
  CHECK_FALSE(shared.routes[2].direct);
  CHECK(shared.routes[3].reads_held[0] == 0);
  CHECK(shared.routes[3].direct);
}

TEST_CASE("a stream read that nobody wrote is found", "[plan][routes]") {
  auto const broken = mpx::make_routing(std::array{layer({}, x), layer(x, x, memory), layer(x, {})}).broken;
  CHECK(broken.layer == 1);
  CHECK(broken.wanted == memory);
  CHECK_FALSE(broken.produced.exists());
  CHECK_FALSE(broken.unread);
}

TEST_CASE("a stream read with another width or axis is found", "[plan][routes]") {
  auto const width = mpx::make_routing(std::array{layer({}, x), layer({"x", 4}, {})}).broken;
  CHECK(width.layer == 1);
  CHECK(width.wanted.width == 4);
  CHECK(width.produced.width == 8);
  CHECK(mpx::make_routing(std::array{layer({}, x), layer({"x", 8, mpx::axis::source}, {})}).broken.layer == 1);
}

TEST_CASE("a stream written that nobody reads is found", "[plan][routes]") {
  auto const broken = mpx::make_routing(std::array{layer({}, x), layer(x, memory), layer({}, x), layer(x, {})}).broken;
  CHECK(broken.layer == 1);
  CHECK(broken.produced == memory);
  CHECK(broken.unread);
}

TEST_CASE("a reader gets the last stream of that name", "[plan][routes]") {
  // Layer 2 writes memory anew, before layer 3 reads it; layer 1's memory is taken by 2 alone.
  auto const renewed = mpx::make_routing(std::array{layer({}, x), layer(x, memory), layer(memory, memory), layer({}, x, memory), layer(x, {})});
  REQUIRE(renewed.broken.layer == 5);
  REQUIRE(renewed.held_count == 1);
  CHECK(renewed.held[0].writer == 2);
  CHECK(renewed.routes[2].direct);
}
