// Mirrors include/mpx/model/sequential.hpp. What it refuses is in tests/compile_fail.
#include <mpx/model/sequential.hpp>

#include <type_traits>

#include <mpx/model/activation.hpp>
#include <mpx/model/embedding.hpp>
#include <mpx/model/linear.hpp>
#include <mpx/model/norm.hpp>

#include <mpx_test.hpp>

namespace {

using widening = mpx::sequential<mpx::linear<8, 16>, mpx::dropout<16>, mpx::linear<16, 4>>;
using block = mpx::residual<mpx::layer_norm<8>, mpx::linear<8, 8>>;
template <std::size_t C>
using x = mpx::message<mpx::stream<"x", C>>;

}  // namespace

static_assert(mpx::layer<widening> && mpx::layer<block> && mpx::layer<mpx::repeat<3, block>>);
static_assert(!mpx::layer<int> && !mpx::layer<mpx::stream<"x", 8>>);
static_assert(std::is_same_v<widening::takes, x<8>> && std::is_same_v<widening::gives, x<4>>);
static_assert(std::is_same_v<block::takes, x<8>> && std::is_same_v<block::gives, x<8>>);
static_assert(std::is_same_v<mpx::repeat<3, block>::gives, x<8>>);

// A section is a sequential with a name.
using named = mpx::section<"top", mpx::linear<8, 16>>;
static_assert(std::is_same_v<named::label, mpx::name<"top">> && std::is_same_v<named::gives, x<16>>);

// gives_as changes the stream's name and nothing else.
using memory = mpx::gives_as<"memory", mpx::layer_norm<8, mpx::axis::source>>;
static_assert(std::is_same_v<memory::gives, mpx::message<mpx::stream<"memory", 8, mpx::axis::source>>>);
static_assert(std::is_same_v<memory::takes, mpx::layer_norm<8, mpx::axis::source>::takes>);

TEST_CASE("a composition reads every feed that one of its layers reads", "[model][sequential]") {
  using tokens = mpx::token_embedding<5, 8, "inputs">;
  CHECK(mpx::sequential<tokens, mpx::linear<8, 8>>::feeds::size == 1);
  CHECK(mpx::sequential<mpx::section<"a", tokens>, mpx::section<"b", tokens>>::feeds::size == 2);
  CHECK(widening::feeds::size == 0);
}
