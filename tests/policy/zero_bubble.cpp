// Mirrors include/mpx/policy/zero_bubble.hpp. How long their steps take: tests/plan/actions.cpp.
#include <mpx/policy/zero_bubble.hpp>

#include <array>
#include <string>

#include <mpx_test.hpp>

namespace {

template <std::size_t M> using h1 = mpx::zb_h1<mpx::microbatches<M>>;
template <std::size_t M> using v = mpx::zb_v<mpx::microbatches<M>>;

/// "F0 B0 W0": forward, gradients of input and of weights; small letters on a device's first stage of two.
template <std::size_t N>
std::string written(std::array<mpx::task, N> const& tasks, bool two_stages = false) {
  std::string text;
  for (auto const& t : tasks) {
    char letter = t.kind == mpx::work::forward ? 'F' : t.kind == mpx::work::backward_input ? 'B' : 'W';
    if (two_stages && t.chunk == 0) letter += 'a' - 'A';
    text += (text.empty() ? "" : " ") + std::string(1, letter) + std::to_string(t.microbatch);
  }
  return text;
}

}  // namespace

static_assert(mpx::pipeline_schedule<h1<4>> && mpx::splits_backward<h1<4>> && mpx::tasks_of<h1<4>> == 3);
static_assert(mpx::pipeline_schedule<v<4>> && mpx::splits_backward<v<4>> && mpx::chunks_of<v<4>> == 2);
static_assert(!mpx::splits_backward<mpx::gpipe<mpx::microbatches<4>>> && mpx::tasks_of<mpx::gpipe<mpx::microbatches<4>>> == 2);

// Stages 0 1 2 3 stand on devices 0 1 1 0.
static_assert(v<2>::device_of(0, 2) == 0 && v<2>::device_of(1, 2) == 1 && v<2>::device_of(2, 2) == 1 && v<2>::device_of(3, 2) == 0);
static_assert(v<4>::fewest_microbatches(8) == 4 && h1<4>::fewest_microbatches(4) == 4);

TEST_CASE("zb_h1 puts gradients of weights off until a forward needs their memory", "[policy][zero_bubble]") {
  // The first of two stages has two microbatches in flight, so each forward waits for the weights of one before.
  CHECK(written(h1<4>::tasks(0, 2)) == "F0 F1 B0 W0 F2 B1 W1 F3 B2 W2 B3 W3");
  // The last one turns its first microbatch around at once, and has room for another.
  CHECK(written(h1<4>::tasks(1, 2)) == "F0 B0 F1 B1 W0 F2 B2 W1 F3 B3 W2 W3");
  CHECK(written(h1<2>::tasks(0, 1)) == "F0 B0 W0 F1 B1 W1");
}

TEST_CASE("zb_v passes each microbatch down the devices, up and back again", "[policy][zero_bubble]") {
  // Four in flight: after f0, f1, F0 and f2 the next forward waits for W0.
  CHECK(written(v<4>::tasks(0, 2), true) == "f0 f1 F0 B0 f2 W0 F1 B1 b0 W1 f3 w0 F2 B2 b1 W2 F3 B3 b2 w1 b3 W3 w2 w3");
  CHECK(written(v<4>::tasks(1, 2), true) == "f0 F0 f1 F1 B0 b0 W0 f2 w0 F2 B1 b1 W1 f3 w1 F3 B2 b2 B3 b3 W2 w2 W3 w3");
}
