// Mirrors include/mpx/model/options.hpp.
#include <mpx/model/options.hpp>

#include <type_traits>

#include <mpx/model/llama.hpp>
#include <mpx/model/seq2seq.hpp>

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

namespace {

template <std::size_t V>
using small = mpx::llama<mpx::width<8>, mpx::vocabulary<V>, mpx::heads<2>, mpx::feed_forward<12>, mpx::tied>;
template <std::size_t Source, std::size_t Target>
using pair = mpx::seq2seq<mpx::source_vocabulary<Source>, mpx::target_vocabulary<Target>, mpx::width<8>>;

}  // namespace

// Vocabularies are rounded up, all of them and nothing else: 12 hidden columns stay as they are.
static_assert(std::is_same_v<mpx::with_padded_vocabulary<small<50257>, 64>, small<50304>>);
static_assert(std::is_same_v<mpx::with_padded_vocabulary<small<64>, 64>, small<64>>);
static_assert(std::is_same_v<mpx::with_padded_vocabulary<small<65>, 64>, small<128>>);
static_assert(std::is_same_v<mpx::with_padded_vocabulary<small<13>, 1>, small<13>>);
static_assert(std::is_same_v<mpx::with_padded_vocabulary<pair<11, 13>, 4>, pair<12, 16>>);

TEST_CASE("an option without a number is there or not", "[model][options]") {
  CHECK(chosen<mpx::post_norm, mpx::heads<4>>::post);
  CHECK_FALSE(chosen<mpx::pre_norm, mpx::heads<4>>::post);
}
