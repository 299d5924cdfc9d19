// Mirrors include/mpx/core/fixed_string.hpp.
#include <mpx/core/fixed_string.hpp>

#include <type_traits>

#include <mpx_test.hpp>

namespace {

template <class Left, class Right>
using joined = typename mpx::joined_name<Left, Right>::type;

}  // namespace

static_assert(mpx::name<"encoder">::view() == "encoder");
static_assert(mpx::name<"">::view().empty());
static_assert(std::is_same_v<mpx::name<"a">, mpx::name<"a">>);
static_assert(!std::is_same_v<mpx::name<"a">, mpx::name<"b">>);

static_assert(std::is_same_v<joined<mpx::name<"encoder">, mpx::name<"norm">>, mpx::name<"encoder.norm">>);
static_assert(std::is_same_v<joined<mpx::name<"">, mpx::name<"norm">>, mpx::name<"norm">>);
static_assert(std::is_same_v<joined<mpx::name<"encoder">, mpx::name<"">>, mpx::name<"encoder">>);

// FNV-1a's published values.
static_assert(mpx::name_hash("") == 0xcbf29ce484222325ull);
static_assert(mpx::name_hash("a") == 0xaf63dc4c8601ec8cull);
static_assert(mpx::name_hash("foobar") == 0x85944171f73967e8ull);

TEST_CASE("a hash can be taken in parts", "[core][fixed_string]") {
  CHECK(mpx::name_hash("bar", mpx::name_hash("foo")) == mpx::name_hash("foobar"));
  CHECK(mpx::name_hash("oobar", mpx::name_hash("f")) != mpx::name_hash("foobaz"));
}
