// Mirrors include/mpx/model/options.hpp.
#include <mpx/model/options.hpp>

#include <mpx_test.hpp>

namespace {

template <class... Options>
struct chosen {
  static constexpr std::size_t width = mpx::option_v<mpx::width, 64, Options...>;
  static constexpr std::size_t heads = mpx::option_v<mpx::heads, 1, Options...>;
  static constexpr bool post = mpx::has_option_v<mpx::post_norm, Options...>;
};

}  // namespace

// Found in any order, else the default.
static_assert(chosen<mpx::width<128>, mpx::heads<4>>::width == 128);
static_assert(chosen<mpx::heads<4>, mpx::width<128>>::width == 128);
static_assert(chosen<mpx::heads<4>>::width == 64);
static_assert(chosen<>::heads == 1);

TEST_CASE("an option without a number is there or not", "[model][options]") {
  CHECK(chosen<mpx::post_norm, mpx::heads<4>>::post);
  CHECK_FALSE(chosen<mpx::pre_norm, mpx::heads<4>>::post);
}
