#include <mpx_test.hpp>

#include <array>
#include <sstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <mpx/io/trace.hpp>
#include <mpx/policy/zero_bubble.hpp>

#include "scratch_file.hpp"

namespace {

constexpr auto lists = mpx::make_actions<mpx::one_f_one_b<mpx::microbatches<4>>, 2>(std::array<std::size_t, 2>{0, 1}, 2,
                                                                                    {1.0, 1.0}, {2.0, 2.0});
constexpr auto times = mpx::make_timeline(lists, 2);

nlohmann::json traced(std::vector<std::string> const& devices, double microseconds) {
  std::ostringstream out;
  mpx::write_trace(out, devices, times.work, microseconds);
  return nlohmann::json::parse(out.str());
}

}  // namespace

TEST_CASE("a trace names each device and holds each work once", "[io][trace]") {
  auto const trace = traced({"host<0>", "host<1>"}, 1000);
  std::vector<std::string> names;
  std::array<double, 2> busy{};
  std::array<double, 2> ended{};
  std::size_t works = 0;
  for (auto const& event : trace.at("traceEvents")) {
    if (event.at("name") == "thread_name") names.push_back(event.at("args").at("name"));
    if (event.at("ph") != "X") continue;
    ++works;
    auto const d = event.at("tid").get<std::size_t>();
    CHECK(event.at("args").at("stage") == d);
    CHECK(event.at("ts").get<double>() >= ended[d]);  // one after the other
    ended[d] = event.at("ts").get<double>() + event.at("dur").get<double>();
    busy[d] += event.at("dur").get<double>();
  }
  CHECK(names == std::vector<std::string>{"host<0>", "host<1>"});
  CHECK(works == 2 * 2 * 4);
  CHECK(busy == std::array<double, 2>{12'000, 12'000});  // microseconds: four forwards of 1 ms, four backwards of 2
  CHECK(ended[0] == 1000 * times.makespan);
}

TEST_CASE("a trace says what was done, when, and for how long", "[io][trace]") {
  auto const event = traced({"a", "b"}, 10).at("traceEvents").at(4);  // after two names and two places
  CHECK(event.at("name") == "forward 0");
  CHECK(event.at("cat") == "forward");
  CHECK(event.at("ts") == 0);
  CHECK(event.at("dur") == 10);
  CHECK(event.at("args").at("microbatch") == 0);
}

TEST_CASE("a trace tells the two halves of a backward apart", "[io][trace]") {
  // One device, one microbatch: a forward, then both halves.
  constexpr auto halves = mpx::make_actions<mpx::zb_h1<mpx::microbatches<1>>, 1>(std::array<std::size_t, 1>{0}, 2, {1.0}, {2.0});
  constexpr auto when = mpx::make_timeline(halves, 2);
  std::ostringstream out;
  mpx::write_trace(out, {"a"}, when.work, 10);
  auto const events = nlohmann::json::parse(out.str()).at("traceEvents");
  REQUIRE(events.size() == 2 + 3);
  CHECK(events.at(3).at("name") == "input half of backward 0");
  CHECK(events.at(4).at("name") == "weights half of backward 0");
  CHECK(events.at(4).at("ts") == 20);
  CHECK(events.at(4).at("dur") == 10);
}

TEST_CASE("a trace of a device without a name is refused", "[io][trace]") {
  CHECK(mpx_test::refusal<mpx::error>([] { traced({"host<0>"}, 1); }) ==
        "cannot trace work (devices): expected 1 devices, got device 1");
}
