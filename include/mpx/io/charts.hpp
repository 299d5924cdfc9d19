/// @file
/// What a plan knows, as pictures: memory against model size, and when each device works.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <mpx/core/error.hpp>
#include <mpx/core/units.hpp>
#include <mpx/io/svg.hpp>
#include <mpx/plan/timeline.hpp>

namespace mpx {

/// One model on a number of devices: what its fullest device holds.
struct memory_point {
  std::string model;
  std::size_t parameters = 0;
  bytes memory;
};

/// The same models on the same number of devices, from the smallest model to the largest.
struct memory_series {
  std::string label;
  std::vector<memory_point> points;
};

/// Memory of one device against the model's size, both on logarithmic axes, with the memory that a device has.
struct memory_chart {
  std::string title;
  std::vector<memory_series> series;
  bytes limit;
  std::string limit_label;
};

/// Which device works on what, and when.
struct timeline_chart {
  std::string title;
  std::string unit;                  ///< what a time of 1 is
  std::vector<std::string> devices;  ///< names, by timed_work::device
};

namespace detail {

/// From numbers to pixels, on a logarithmic axis between two powers of ten.
struct log_axis {
  double first = 0, last = 1;  ///< powers of ten
  double from = 0, to = 1;     ///< pixels
  log_axis(double least, double most, double begin, double end)
      : first(std::floor(std::log10(least) + 1e-9)),
        last(std::max(first + 1, std::ceil(std::log10(most) - 1e-9))),
        from(begin),
        to(end) {}
  [[nodiscard]] double at(double value) const {
    return from + (to - from) * (std::log10(value) - first) / (last - first);
  }
};

/// "10 M", "175 B": parameters as people say them.
inline std::string parameters_text(double count) {
  return count >= 1e12  ? svg_writer::number(count / 1e12) + " T"
         : count >= 1e9 ? svg_writer::number(count / 1e9) + " B"
         : count >= 1e6 ? svg_writer::number(count / 1e6) + " M"
                        : svg_writer::number(count);
}

/// "0.1", "1 000".
inline std::string gigabytes_text(double gigabytes) {
  std::string text = svg_writer::number(gigabytes);
  if (gigabytes >= 1000) text.insert(text.size() - 3, " ");
  return text;
}

}  // namespace detail

/// Draws a memory chart as SVG.
/// Units   GB of 10^9 bytes
/// Errors  throws mpx::error when there is no point, or one without parameters or bytes
inline void write_memory_chart(std::ostream& out, memory_chart const& chart) {
  constexpr double width = 960, height = 620, left = 90, right = 820, top = 130, bottom = 540;
  constexpr std::string_view colors[] = {"#444444", "#1f6fb4", "#d1720f", "#2a8f4a", "#8a4fbf", "#b8326a"};

  double least_size = 0, most_size = 0, least_memory = static_cast<double>(chart.limit.count),
         most_memory = least_memory;
  memory_series const* longest = nullptr;
  for (auto const& series : chart.series) {
    if (!longest || series.points.size() > longest->points.size()) longest = &series;
    for (auto const& p : series.points) {
      auto const size = static_cast<double>(p.parameters), memory = static_cast<double>(p.memory.count);
      if (size <= 0 || memory <= 0)
        throw error{{.what = "cannot draw a point",
                     .where = series.label + ", " + p.model,
                     .expected = "parameters and bytes",
                     .got = "0"}};
      least_size = least_size > 0 ? std::min(least_size, size) : size;
      most_size = std::max(most_size, size);
      least_memory = least_memory > 0 ? std::min(least_memory, memory) : memory;
      most_memory = std::max(most_memory, memory);
    }
  }
  if (least_size <= 0)
    throw error{{.what = "cannot draw a chart", .where = chart.title, .expected = "at least one point", .got = "none"}};
  detail::log_axis const x(least_size, most_size, left, right);
  detail::log_axis const y(least_memory / 1e9, most_memory / 1e9, bottom, top);

  svg_writer svg(out, width, height);
  using anchor = svg_writer::anchor;
  svg.text({left, 32}, chart.title, 18);

  // Axes: a line for each power of ten, fainter ones at 2 and 5 times it.
  for (double power = x.first; power <= x.last; ++power)
    for (double const times : {1.0, 2.0, 5.0}) {
      double const value = times * std::pow(10, power);
      if (power == x.last && times > 1) break;
      svg.line({x.at(value), top}, {x.at(value), bottom}, times > 1 ? "#f3f3f3" : "#dcdcdc");
      if (times == 1) svg.text({x.at(value), bottom + 22}, detail::parameters_text(value), 14, anchor::middle);
    }
  for (double power = y.first; power <= y.last; ++power)
    for (double const times : {1.0, 2.0, 5.0}) {
      double const value = times * std::pow(10, power);
      if (power == y.last && times > 1) break;
      svg.line({left, y.at(value)}, {right, y.at(value)}, times > 1 ? "#f3f3f3" : "#dcdcdc");
      if (times == 1) svg.text({left - 10, y.at(value) + 5}, detail::gigabytes_text(value), 14, anchor::end);
    }
  svg.text({(left + right) / 2, bottom + 54}, "model size (parameters)", 15, anchor::middle);
  svg.text({28, (top + bottom) / 2}, "memory of the fullest device (GB, 10^9 bytes)", 15, anchor::middle, "#222222",
           -90);

  // The models' names stand above the plot, where nothing else does.
  double last_name = -100;
  for (auto const& p : longest->points) {
    double const at = x.at(static_cast<double>(p.parameters));
    svg.line({at, top - 6}, {at, top}, "#888888");
    if (at - last_name < 17) continue;  // two names would touch
    svg.text({at + 4, top - 10}, p.model, 12, anchor::start, "#555555", -40);
    last_name = at;
  }

  double const limit = y.at(static_cast<double>(chart.limit.count) / 1e9);
  svg.line({left, limit}, {right, limit}, "#c62828", 2, true);
  svg.text({right - 8, limit + 18}, chart.limit_label, 14, anchor::end,
           "#c62828");  // large models leave this corner free

  double lowest_label = 1e9;
  for (std::size_t s = 0; s < chart.series.size(); ++s) {
    auto const& series = chart.series[s];
    if (series.points.empty()) continue;
    auto const color = colors[s % std::size(colors)];
    std::vector<svg_writer::point> line;
    for (auto const& p : series.points)
      line.push_back({x.at(static_cast<double>(p.parameters)), y.at(static_cast<double>(p.memory.count) / 1e9)});
    svg.polyline(line, color, 2);
    for (std::size_t i = 0; i < line.size(); ++i) {
      auto const& p = series.points[i];
      bool const fits = p.memory <= chart.limit;
      svg.circle(
          line[i], 4, fits ? color : "#ffffff", color,
          p.model + ", " + series.label + ": " + svg_writer::number(static_cast<double>(p.memory.count) / 1e9) + " GB");
    }
    // Series that come in order of memory have labels in that order, at least a line apart.
    double const at = std::max(line.back().second, lowest_label == 1e9 ? line.back().second : lowest_label + 18);
    svg.text({line.back().first + 12, at + 5}, series.label, 14, anchor::start, color);
    lowest_label = at;
  }
  svg.text({left, height - 8}, "filled: fits below the dashed line; hollow: does not", 12, anchor::start, "#555555");
}

namespace detail {

[[nodiscard]] constexpr char const* color_of(work kind) {
  return kind == work::forward ? "#8fb8de" : kind == work::backward_weights ? "#9fcf9a" : "#f2b36b";
}

}  // namespace detail

/// Draws a timeline as SVG: a row for each device, a box for each forward and backward with its microbatch's number,
/// and grey where the device waits; the two halves of a backward have a color each.
/// Errors  throws mpx::error when there is no work, or when work is on a device without a name
inline void write_timeline_chart(std::ostream& out, timeline_chart const& chart, std::span<timed_work const> works) {
  constexpr double left = 100, top = 96, row = 34, box = 28;
  double makespan = 0, shortest = 0;
  for (auto const& w : works) {
    if (w.device < 0 || static_cast<std::size_t>(w.device) >= chart.devices.size())
      throw error{{.what = "cannot draw work",
                   .where = chart.title,
                   .expected = std::to_string(chart.devices.size()) + " devices",
                   .got = "device " + std::to_string(w.device)}};
    makespan = std::max(makespan, w.end);
    if (w.end > w.begin) shortest = shortest > 0 ? std::min(shortest, w.end - w.begin) : w.end - w.begin;
  }
  if (makespan <= 0)
    throw error{{.what = "cannot draw a timeline", .where = chart.title, .expected = "some work", .got = "none"}};

  // A box is wide enough for two digits, if that does not take more than four screens.
  double const scale = std::min(std::max(1000 / makespan, 16 / shortest), 4000 / makespan);
  double const right = left + makespan * scale, bottom = top + row * static_cast<double>(chart.devices.size());
  svg_writer svg(out, right + 40, bottom + 70);
  using anchor = svg_writer::anchor;
  svg.text({left, 32}, chart.title, 18);

  double key = left;
  auto const explain = [&](char const* color, std::string const& words) {
    svg.rectangle(key, 56, 16, 16, color);
    svg.text({key + 22, 69}, words, 14);
    key += 64 + 7 * static_cast<double>(words.size());
  };
  bool const halves = std::any_of(works.begin(), works.end(), [](auto const& w) { return w.kind == work::backward_weights; });
  explain(detail::color_of(work::forward), "forward");
  if (!halves) explain(detail::color_of(work::backward), "backward");
  for (auto kind : {work::backward_input, work::backward_weights})
    if (halves) explain(detail::color_of(kind), std::string(to_string(kind)));
  explain("#ececec", "idle");
  svg.text({key, 69}, "number: microbatch", 14);

  for (std::size_t d = 0; d < chart.devices.size(); ++d) {
    double const y = top + row * static_cast<double>(d);
    svg.text({left - 10, y + 19}, chart.devices[d], 14, anchor::end);
    svg.rectangle(left, y, right - left, box, "#ececec", chart.devices[d] + " waits");
  }
  for (auto const& w : works) {
    double const x = left + w.begin * scale, wide = (w.end - w.begin) * scale, y = top + row * w.device;
    std::string const number = std::to_string(w.microbatch);
    svg.rectangle(x + 0.5, y, std::max(0.5, wide - 1), box, detail::color_of(w.kind),
                  std::string(to_string(w.kind)) + " of microbatch " + number + " on stage " + std::to_string(w.stage) +
                      ", " + svg_writer::number(w.begin) + " to " + svg_writer::number(w.end));
    if (wide >= 7 * static_cast<double>(number.size()) + 2)
      svg.text({x + wide / 2, y + 18}, number, 11, anchor::middle);
  }

  // Ticks at 1, 2 or 5 times a power of ten, at least 60 pixels apart.
  double step = std::pow(10, std::floor(std::log10(60 / scale)));
  for (double const times : {2.0, 2.5, 2.0})
    if (step * scale < 60) step *= times;
  svg.line({left, bottom}, {right, bottom}, "#888888");
  for (int i = 0; i * step <= makespan * (1 + 1e-9); ++i) {
    double const x = left + i * step * scale;
    svg.line({x, bottom}, {x, bottom + 6}, "#888888");
    svg.text({x, bottom + 22}, svg_writer::number(i * step), 13, anchor::middle);
  }
  svg.text({(left + std::min(right, left + 1000)) / 2, bottom + 48}, "time (" + chart.unit + ")", 15, anchor::middle);
}

}  // namespace mpx
