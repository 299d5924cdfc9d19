#include <mpx_test.hpp>

#include <sstream>
#include <string>

#include <mpx/io/svg.hpp>

#include "picture.hpp"

using mpx::svg_writer;
using mpx_test::well_formed;

TEST_CASE("a picture is complete when its writer is gone", "[io][svg]") {
  std::ostringstream out;
  {
    svg_writer svg(out, 200, 100);
    svg.rectangle(1, 2, 3, 4, "#abcdef");
    svg.line({0, 0}, {10.5, 20}, "#000000", 2, true);
    svg.polyline({{0, 0}, {1, 1.25}}, "#111111", 1);
    svg.circle({5, 6}, 7, "#222222", "#333333", "a point");
    svg.text({8, 9}, "words", 14, svg_writer::anchor::end, "#444444", -90);
    CHECK(!well_formed(out.str()));
  }
  std::string const text = out.str();
  CHECK(well_formed(text));
  CHECK(text.starts_with(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"200\" height=\"100\" viewBox=\"0 0 200 100\""));
  CHECK(text.find(R"(<rect x="1" y="2" width="3" height="4" fill="#abcdef"/>)") != text.npos);
  CHECK(text.find(R"(x2="10.5" y2="20" stroke="#000000" stroke-width="2" stroke-dasharray)") != text.npos);
  CHECK(text.find(R"(points="0,0 1,1.25 ")") != text.npos);
  CHECK(text.find("<title>a point</title>") != text.npos);
  CHECK(text.find(R"svg(text-anchor="end" fill="#444444" transform="rotate(-90 8 9)">words</text>)svg") != text.npos);
}

TEST_CASE("what would be markup is escaped", "[io][svg]") {
  CHECK(svg_writer::escaped("host<0> & \"x\"") == "host&lt;0&gt; &amp; &quot;x&quot;");
  std::ostringstream out;
  {
    svg_writer svg(out, 10, 10);
    svg.text({0, 0}, "</svg>", 10);
    svg.rectangle(0, 0, 1, 1, "#000000", "a < b");
  }
  CHECK(well_formed(out.str()));
}

TEST_CASE("numbers have at most two digits behind the point", "[io][svg]") {
  CHECK(svg_writer::number(0) == "0");
  CHECK(svg_writer::number(100) == "100");
  CHECK(svg_writer::number(1.5) == "1.5");
  CHECK(svg_writer::number(-2.125) == "-2.12");
  CHECK(svg_writer::number(1e12) == "1000000000000");
}
