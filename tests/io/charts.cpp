#include <mpx_test.hpp>

#include <array>
#include <sstream>
#include <string>
#include <vector>

#include <mpx/io/charts.hpp>

#include "picture.hpp"
#include "scratch_file.hpp"

using mpx_test::count;
using mpx_test::refusal;
using mpx_test::well_formed;

namespace {

std::string drawn(mpx::memory_chart const& chart) {
  std::ostringstream out;
  mpx::write_memory_chart(out, chart);
  return out.str();
}
std::string drawn(mpx::timeline_chart const& chart, std::vector<mpx::timed_work> const& works) {
  std::ostringstream out;
  mpx::write_timeline_chart(out, chart, works);
  return out.str();
}

// 100 million and 10 billion parameters; 1 to 100 GB on one device, half as much on two.
mpx::memory_chart const two_models{
    .title = "Memory",
    .series = {{"1 device", {{"small", 100'000'000, {1'000'000'000}}, {"large", 10'000'000'000, {100'000'000'000}}}},
               {"2 devices", {{"large", 10'000'000'000, {10'000'000'000}}}}},
    .limit = {10'000'000'000},
    .limit_label = "10 GB: a device"};

// Two stages, two microbatches, a forward takes 1, a backward 2: 9 in all.
constexpr auto lists = mpx::make_actions<mpx::one_f_one_b<mpx::microbatches<2>>, 2>(std::array<std::size_t, 2>{0, 1}, 2,
                                                                                    {1.0, 1.0}, {2.0, 2.0});
constexpr auto times = mpx::make_timeline(lists, 2);
std::vector<mpx::timed_work> const works(times.work.begin(), times.work.end());
mpx::timeline_chart const two_devices{.title = "Schedule", .unit = "forwards", .devices = {"host<0>", "host<1>"}};

}  // namespace

TEST_CASE("a memory chart stands on logarithmic axes", "[io][charts]") {
  std::string const text = drawn(two_models);
  CHECK(well_formed(text));
  CHECK(count(text, "<circle") == 3);
  CHECK(count(text, "<polyline") == 2);

  // The plot spans x 90 to 820 and y 540 up to 130; both axes span two powers of ten: 1 GB to 100 GB, 100 M to 10 B.
  CHECK(text.find(R"(<circle cx="90" cy="540")") != text.npos);
  CHECK(text.find(R"(<circle cx="820" cy="130")") != text.npos);
  CHECK(text.find(R"(<circle cx="820" cy="335")") != text.npos);                                  // 10 GB: half way up
  CHECK(text.find(R"(<line x1="90" y1="335" x2="820" y2="335" stroke="#c62828")") != text.npos);  // and the limit too

  for (auto const* words :
       {">100 M<", ">1 B<", ">10 B<", ">1<", ">10<", ">100<", ">model size (parameters)<", ">small<", ">large<",
        ">memory of the fullest device (GB, 10^9 bytes)<", ">1 device<", ">2 devices<", ">10 GB: a device<"})
    CHECK(count(text, words) == 1);
}

TEST_CASE("a point is filled when the device holds it", "[io][charts]") {
  std::string const text = drawn(two_models);
  CHECK(text.find(R"(<circle cx="90" cy="540" r="4" fill="#444444")") != text.npos);   // 1 GB
  CHECK(text.find(R"(<circle cx="820" cy="130" r="4" fill="#ffffff")") != text.npos);  // 100 GB
  CHECK(text.find(R"(<circle cx="820" cy="335" r="4" fill="#1f6fb4")") != text.npos);  // 10 GB, to the byte
  CHECK(text.find("<title>large, 2 devices: 10 GB</title>") != text.npos);
}

TEST_CASE("a chart without points is refused", "[io][charts]") {
  auto empty = two_models;
  empty.series.clear();
  CHECK(refusal<mpx::error>([&] { drawn(empty); }) ==
        "cannot draw a chart (Memory): expected at least one point, got none");
  auto wrong = two_models;
  wrong.series[1].points[0].memory = {0};
  CHECK(refusal<mpx::error>([&] { drawn(wrong); }) ==
        "cannot draw a point (2 devices, large): expected parameters and bytes, got 0");
}

TEST_CASE("a timeline has a row for each device and a box for each work", "[io][charts]") {
  std::string const text = drawn(two_devices, works);
  CHECK(well_formed(text));
  CHECK(count(text, "<title>forward of microbatch") == 4);
  CHECK(count(text, "<title>backward of microbatch") == 4);
  CHECK(count(text, ">host&lt;0&gt;<") == 1);
  CHECK(count(text, "<title>host&lt;1&gt; waits</title>") == 1);
  CHECK(text.find("<title>backward of microbatch 1 on stage 0, 7 to 9</title>") != text.npos);
  CHECK(count(text, ">0</text>") == 4 + 1);  // boxes of microbatch 0, and the axis
  CHECK(count(text, ">9</text>") == 1);      // the axis reaches the end
  CHECK(count(text, ">time (forwards)<") == 1);

  // 9 units in 1000 pixels from x = 100: the forward of microbatch 0 on the second device begins at 100 + 1000 / 9.
  CHECK(text.find(R"(<rect x="211.61" y="130" width="110.11" height="28" fill="#8fb8de">)") != text.npos);
}

TEST_CASE("a timeline of split backwards has a color for each half", "[io][charts]") {
  std::string const text = drawn(two_devices, {{0, 0, 0, mpx::work::forward, 0, 1},
                                               {0, 0, 0, mpx::work::backward_input, 1, 2},
                                               {0, 0, 0, mpx::work::backward_weights, 2, 3}});
  CHECK(well_formed(text));
  CHECK(count(text, ">input half of backward<") == 1);  // the key
  CHECK(count(text, ">weights half of backward<") == 1);
  CHECK(count(text, ">backward<") == 0);
  CHECK(text.find("<title>weights half of backward of microbatch 0 on stage 0, 2 to 3</title>") != text.npos);
}

TEST_CASE("a long timeline grows wider, so that its numbers stay readable", "[io][charts]") {
  std::vector<mpx::timed_work> many;
  for (int m = 0; m < 100; ++m) many.push_back({0, 0, m, mpx::work::forward, 1.0 * m, m + 1.0});
  std::string const text = drawn(two_devices, many);
  CHECK(text.find("width=\"1740\"") != text.npos);  // 16 pixels each, 100 before and 40 behind
  CHECK(count(text, ">99</text>") == 1);
  for (int m = 100; m < 1000; ++m) many.push_back({0, 0, m, mpx::work::forward, 1.0 * m, m + 1.0});
  CHECK(count(drawn(two_devices, many), ">555</text>") == 0);  // 4 pixels: no room for it
}

TEST_CASE("work on a device without a row is refused", "[io][charts]") {
  CHECK(refusal<mpx::error>([] {
          drawn(two_devices, {{2, 0, 0, mpx::work::forward, 0, 1}});
        }) == "cannot draw work (Schedule): expected 2 devices, got device 2");
  CHECK(refusal<mpx::error>([] { drawn(two_devices, {}); }) ==
        "cannot draw a timeline (Schedule): expected some work, got none");
}
