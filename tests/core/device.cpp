// Mirrors include/mpx/core/device.hpp.
#include <mpx/core/device.hpp>

#include <string>

#include <mpx_test.hpp>

static_assert(mpx::host<0>{} == mpx::host<0>{} && !(mpx::host<0>{} == mpx::host<1>{}));
static_assert(mpx::device(mpx::host<1>{}) == mpx::device{mpx::device_kind::host, 1});
static_assert(mpx::device(mpx::host<1>{}) != mpx::device(mpx::cuda<1>{}));
static_assert(mpx::device(mpx::host<0>{}) != mpx::device(mpx::host<1>{}));
static_assert(!mpx::device{}.placed() && mpx::device(mpx::cuda<0>{}).placed());

TEST_CASE("kinds of devices have names", "[core][device]") {
  CHECK(std::string(mpx::to_string(mpx::device_kind::host)) == "host");
  CHECK(std::string(mpx::to_string(mpx::device_kind::cuda)) == "cuda");
  CHECK(std::string(mpx::to_string(mpx::device_kind::none)) == "none");
}
