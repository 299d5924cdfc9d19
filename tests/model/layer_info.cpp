// Mirrors include/mpx/model/layer_info.hpp.
#include <mpx/model/layer_info.hpp>

#include <mpx_test.hpp>

namespace {

constexpr mpx::layer_name norm{"encoder.norm", -1};
constexpr mpx::layer_name twelfth{"encoder.layers", 12};

}  // namespace

static_assert(norm.is("encoder.norm") && !norm.is("encoder") && !norm.is("encoder.norm.0"));
static_assert(twelfth.is("encoder.layers.12"));
static_assert(!twelfth.is("encoder.layers") && !twelfth.is("encoder.layers.1") && !twelfth.is("encoder.layers.123"));

// A group is a whole word of the path.
static_assert(norm.within("encoder") && norm.within("encoder.norm") && norm.within(""));
static_assert(!norm.within("enc") && !norm.within("decoder") && !norm.within("encoder.norm.weight"));
static_assert(twelfth.within("encoder") && twelfth.within("encoder.layers") && twelfth.within("encoder.layers.12"));
static_assert(!twelfth.within("encoder.layers.1"));

// 7 ids of 4 bytes for each of 3 sequences are 84 bytes: two cache lines; 3 lengths fit into one.
static_assert(mpx::feed_info{"targets", mpx::axis::target}.bytes({3, {5, 7}}) == 128);
static_assert(mpx::feed_info{"lengths", mpx::axis::target, 0, true}.bytes({3, {5, 7}}) == 64);
static_assert(mpx::stream_info{"x", 8, mpx::axis::source}.bytes({3, {5, 7}}, {.compute = 2}) == 256);
static_assert(!mpx::stream_info{}.exists() && mpx::stream_info{"x"}.exists());

TEST_CASE("a name's hash is that of its text", "[model][layer_info]") {
  CHECK(twelfth.text() == "encoder.layers.12");
  CHECK(norm.text() == "encoder.norm");
  CHECK(mpx::layer_name{"layers", 0}.text() == "layers.0");
  CHECK(twelfth.hash() == mpx::name_hash("encoder.layers.12"));
  CHECK(norm.hash() == mpx::name_hash("encoder.norm"));
}
