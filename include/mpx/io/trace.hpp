/// @file
/// A timeline as a trace that Perfetto (ui.perfetto.dev) and chrome://tracing show.
#pragma once

#include <ostream>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <mpx/core/error.hpp>
#include <mpx/plan/timeline.hpp>

namespace mpx {

/// Writes one complete event for each forward and backward, or half of one; each device is a thread under its name.
/// Units   `microseconds` is how long a time of 1 takes
/// Errors  throws mpx::error when work is on a device without a name
/// Source  "Trace Event Format" of the Chromium project: complete events (ph X) and metadata events (ph M)
inline void write_trace(std::ostream& out, std::vector<std::string> const& devices, std::span<timed_work const> works,
                        double microseconds = 1000) {
  using nlohmann::ordered_json;
  ordered_json events = ordered_json::array();
  for (std::size_t d = 0; d < devices.size(); ++d) {
    events.push_back({{"name", "thread_name"}, {"ph", "M"}, {"pid", 0}, {"tid", d}, {"args", {{"name", devices[d]}}}});
    events.push_back(
        {{"name", "thread_sort_index"}, {"ph", "M"}, {"pid", 0}, {"tid", d}, {"args", {{"sort_index", d}}}});
  }
  for (auto const& w : works) {
    if (w.device < 0 || static_cast<std::size_t>(w.device) >= devices.size())
      throw error{{.what = "cannot trace work",
                   .where = "devices",
                   .expected = std::to_string(devices.size()) + " devices",
                   .got = "device " + std::to_string(w.device)}};
    std::string const kind(to_string(w.kind));
    events.push_back({{"name", kind + ' ' + std::to_string(w.microbatch)},
                      {"cat", kind},
                      {"ph", "X"},
                      {"pid", 0},
                      {"tid", w.device},
                      {"ts", w.begin * microseconds},
                      {"dur", (w.end - w.begin) * microseconds},
                      {"args", {{"stage", w.stage}, {"microbatch", w.microbatch}}}});
  }
  out << ordered_json{{"displayTimeUnit", "ms"}, {"traceEvents", std::move(events)}}.dump(1) << '\n';
}

}  // namespace mpx
