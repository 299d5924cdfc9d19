/// @file
/// A plan as a table that a person can read.
#pragma once

#include <cstdio>
#include <initializer_list>
#include <ostream>
#include <string>
#include <vector>

#include <mpx/plan/plan.hpp>

namespace mpx {

/// "12.4 MiB".
[[nodiscard]] inline std::string to_string(bytes size) {
  char const* const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(size.count);
  int unit = 0;
  for (; value >= 1024 && unit < 4; ++unit) value /= 1024;
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
  return text;
}

[[nodiscard]] inline std::string to_string(device where) {
  return std::string(to_string(where.kind)) + '<' + std::to_string(where.ordinal) + '>';
}

namespace detail {

/// Columns as wide as their widest cell; the first two to the left, numbers to the right.
inline void print_table(std::ostream& out, std::vector<std::vector<std::string>> const& rows, std::size_t left) {
  std::vector<std::size_t> widths(rows.front().size());
  for (auto const& row : rows)
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = row[c].size() > widths[c] ? row[c].size() : widths[c];
  for (auto const& row : rows) {
    for (std::size_t c = 0; c < row.size(); ++c) {
      std::string const space(widths[c] - row[c].size(), ' ');
      out << "  " << (c < left ? row[c] + space : space + row[c]);
    }
    out << '\n';
  }
}

inline std::string with_thousands(std::size_t n) {
  std::string const digits = std::to_string(n);
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += '\'';
    text += digits[i];
  }
  return text;
}

}  // namespace detail

/// Stages, devices, links and the idle share, all known before any run.
template <std::size_t L, std::size_t S, std::size_t D, class A, std::size_t T>
std::ostream& operator<<(std::ostream& out, plan<L, S, D, A, T> const& p) {
  using detail::with_thousands;
  using row = std::vector<std::string>;
  out << "plan: " << L << " layers, " << with_thousands(p.parameters()) << " parameters, " << S << (S == 1 ? " stage" : " stages")
      << " on " << D << (D == 1 ? " device, " : " devices, ") << p.microbatches << (p.microbatches == 1 ? " microbatch" : " microbatches")
      << " of at most " << p.capacity.sequences << " sequences";
  if (p.capacity.tokens[0] > 0) out << " x " << p.capacity.tokens[0] << " source";
  if (p.capacity.tokens[1] > 0) out << " x " << p.capacity.tokens[1] << (p.capacity.tokens[0] > 0 ? " target" : "");
  out << " tokens\n";
  if (p.mesh.data * p.mesh.tensor > 1)
    out << "mesh: data " << p.mesh.data << " x pipeline " << p.mesh.pipeline << " x tensor " << p.mesh.tensor << ", "
        << p.mesh.devices() << " devices; below is what each data and tensor rank has\n";

  std::vector<row> stages{{"stage", "device", "layers", "", "parameters", "GFLOP/step", "in flight"}};
  for (std::size_t s = 0; s < S; ++s) {
    auto const& stage = p.stages[s];
    std::string const first = p.layers[stage.first].name.text(), last = p.layers[stage.end - 1].name.text();
    char flops[32];
    std::snprintf(flops, sizeof flops, "%.3f", 1e-9 * (3 * stage.forward_flops + stage.recomputed_flops) * static_cast<double>(p.microbatches));
    stages.push_back({std::to_string(s), to_string(stage.where), std::to_string(stage.end - stage.first),
                      first == last ? first : first + " .. " + last, with_thousands(stage.parameters), flops,
                      std::to_string(stage.slots)});
  }
  detail::print_table(out, stages, 4);

  std::vector<row> memory{{"device", "weights", "master", "gradients", "optimizer", "constants", "activations", "scratch", "channels", "total"}};
  for (device d : p.devices) {
    auto const use = p.memory_on(d);
    memory.push_back({to_string(d), to_string(use.weights), to_string(use.master), to_string(use.gradients),
                      to_string(use.optimizer), to_string(use.constants), to_string(use.activations), to_string(use.scratch),
                      to_string(use.channels), to_string(use.total())});
  }
  detail::print_table(out, memory, 1);

  for (std::size_t s = 0; s + 1 < S; ++s) {
    out << "  link " << s << " -> " << s + 1 << ": ";
    for (std::size_t k = 0; k < p.links[s].streams; ++k)
      out << (k > 0 ? ", " : "") << p.links[s].stream[k].label << " [.., " << p.links[s].stream[k].width << ']';
    out << ", " << to_string(p.link_bytes(s)) << " a step forward and as much back\n";
  }
  for (std::size_t s = 0; s < S && p.mesh.data * p.mesh.tensor > 1; ++s) {
    out << "  stage " << s << ": ";
    if (p.mesh.tensor > 1)
      out << to_string(p.tensor_sum_bytes(s)) << " summed " << (p.capacity.rows_over_tensor == spread::sharded_0 ? "or gathered " : "")
          << "over tensor ranks";
    if (p.mesh.data > 1)
      out << (p.mesh.tensor > 1 ? ", " : "") << to_string(p.data_sum_bytes(s)) << " of gradients summed over data ranks";
    if (p.stages[s].divided) out << ", " << to_string(p.data_gather_bytes(s)) << " of weights gathered";
    out << " a step\n";
  }
  char idle[64];
  std::snprintf(idle, sizeof idle, "%.1f", 100 * p.idle_share());
  return out << "  idle " << idle << " % of the devices' time (idle time / total time, if time follows FLOPs)\n";
}

}  // namespace mpx
