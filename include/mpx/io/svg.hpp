/// @file
/// Lines, boxes and words of a picture, written as SVG.
#pragma once

#include <charconv>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mpx {

/// Writes one picture; it is complete when the object is gone.
/// Units   pixels, from the upper left corner
class svg_writer {
 public:
  enum class anchor : unsigned char { start, middle, end };
  using point = std::pair<double, double>;

  svg_writer(std::ostream& out, double width, double height) : out_(out) {
    out_ << R"(<svg xmlns="http://www.w3.org/2000/svg" width=")" << number(width) << R"(" height=")" << number(height)
         << R"(" viewBox="0 0 )" << number(width) << ' ' << number(height)
         << R"(" font-family="DejaVu Sans, Helvetica, Arial, sans-serif">)" << '\n';
    rectangle(0, 0, width, height, "#ffffff");
  }
  svg_writer(svg_writer const&) = delete;
  svg_writer& operator=(svg_writer const&) = delete;
  ~svg_writer() { out_ << "</svg>\n"; }

  /// A filled box. `title` is shown where the mouse rests on it.
  void rectangle(double x, double y, double width, double height, std::string_view fill, std::string_view title = {}) {
    out_ << R"(<rect x=")" << number(x) << R"(" y=")" << number(y) << R"(" width=")" << number(width) << R"(" height=")"
         << number(height) << R"(" fill=")" << fill << '"';
    if (title.empty())
      out_ << "/>\n";
    else
      out_ << "><title>" << escaped(title) << "</title></rect>\n";
  }

  void line(point from, point to, std::string_view color, double width = 1, bool dashed = false) {
    out_ << R"(<line x1=")" << number(from.first) << R"(" y1=")" << number(from.second) << R"(" x2=")"
         << number(to.first) << R"(" y2=")" << number(to.second) << R"(" stroke=")" << color << R"(" stroke-width=")"
         << number(width) << (dashed ? R"(" stroke-dasharray="7 4"/>)" : R"("/>)") << '\n';
  }

  void polyline(std::vector<point> const& points, std::string_view color, double width) {
    out_ << R"(<polyline fill="none" stroke=")" << color << R"(" stroke-width=")" << number(width) << R"(" points=")";
    for (auto const& [x, y] : points) out_ << number(x) << ',' << number(y) << ' ';
    out_ << R"("/>)" << '\n';
  }

  void circle(point at, double radius, std::string_view fill, std::string_view stroke, std::string_view title) {
    out_ << R"(<circle cx=")" << number(at.first) << R"(" cy=")" << number(at.second) << R"(" r=")" << number(radius)
         << R"(" fill=")" << fill << R"(" stroke=")" << stroke << R"(" stroke-width="2"><title>)" << escaped(title)
         << "</title></circle>\n";
  }

  /// Words whose baseline ends, begins or is centred at a point, turned by `degrees` around it.
  void text(point at, std::string_view words, double size, anchor where = anchor::start,
            std::string_view color = "#222222", double degrees = 0) {
    constexpr std::string_view names[] = {"start", "middle", "end"};
    out_ << R"(<text x=")" << number(at.first) << R"(" y=")" << number(at.second) << R"(" font-size=")" << number(size)
         << R"(" text-anchor=")" << names[static_cast<int>(where)] << R"(" fill=")" << color << '"';
    if (degrees != 0)
      out_ << R"svg( transform="rotate()svg" << number(degrees) << ' ' << number(at.first) << ' ' << number(at.second)
           << R"svg()")svg";
    out_ << '>' << escaped(words) << "</text>\n";
  }

  /// With at most two digits behind the point, and a point in every locale.
  [[nodiscard]] static std::string number(double value) {
    char text[64];
    auto const end = std::to_chars(text, text + sizeof text, value, std::chars_format::fixed, 2).ptr;
    std::string out(text, end);
    while (out.back() == '0') out.pop_back();
    if (out.back() == '.') out.pop_back();
    return out;
  }

  /// Text as XML wants it.
  [[nodiscard]] static std::string escaped(std::string_view text) {
    std::string out;
    for (char const c : text) {
      if (c == '<')
        out += "&lt;";
      else if (c == '>')
        out += "&gt;";
      else if (c == '&')
        out += "&amp;";
      else if (c == '"')
        out += "&quot;";
      else
        out += c;
    }
    return out;
  }

 private:
  std::ostream& out_;
};

}  // namespace mpx
