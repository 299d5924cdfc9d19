// What published models need on 1 to 1024 devices, without one of them at hand: nothing is allocated but text.
//
//   plan                                     which plans were compiled in
//   plan gpt3_175b --devices 16              one of them: stages, bytes, links, idle time
//   plan gpt3_175b --mesh 8,16,8             8 data ranks, each 16 stages long, each stage divided among 8 tensor ranks
//   plan --svg memory.svg                    memory of the fullest device against the model's size, GPT-2 and GPT-3
//   plan gpt2_124m --devices 4 --schedule zb_v --timeline schedule.svg --trace schedule.json
#include <mpx/io/charts.hpp>
#include <mpx/io/trace.hpp>

#include <CLI/CLI.hpp>

#include <cmath>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iostream>
#include <set>
#include <string>
#include <vector>

#include "planned.hpp"

// The tutorial's chart: without model parallelism, and with it, beside the memory of one GPU.
mpx::memory_chart chart_of(std::vector<planned> const& plans) {
  mpx::memory_chart chart{.title = "Training memory of GPT-2 and GPT-3: 1F1B, bf16 with f32 master weights, AdamW",
                          .series = {},
                          .limit = {16'000'000'000},
                          .limit_label = "16 GB: one NVIDIA V100"};
  std::set<std::size_t> counts;
  auto const drawn = [](planned const& p) {  // other models' sizes would hide GPT-3's
    return p.model.starts_with("gpt") && p.mesh.data * p.mesh.tensor == 1 && p.schedule == "1F1B";
  };
  for (auto const& p : plans)
    if (drawn(p)) counts.insert(p.mesh.pipeline);
  for (std::size_t const devices : counts) {
    auto& series = chart.series.emplace_back();
    series.label = std::to_string(devices) + (devices == 1 ? " device" : " devices");
    for (auto const& p : plans)
      if (p.mesh.pipeline == devices && drawn(p)) series.points.push_back({p.model, p.parameters, p.fullest});
  }
  return chart;
}

mpx::timeline_chart timeline_of(planned const& p) {
  return {.title = p.model + ", " + p.schedule + ": idle for " + mpx::svg_writer::number(std::round(1000 * p.idle_share) / 10) +
                   " % of the devices' time, if stages are equal",
          .unit = "one stage's forward of one microbatch; its backward takes two, half of it one",
          .devices = p.device_names};
}

std::string to_string(mpx::mesh_shape const& mesh) {
  return std::to_string(mesh.data) + ',' + std::to_string(mesh.pipeline) + ',' + std::to_string(mesh.tensor);
}

void write(std::string const& path, std::function<void(std::ostream&)> const& content) {
  std::ofstream file(path, std::ios::binary);
  content(file);
  file.close();
  if (!file) throw mpx::error({"cannot write file", path, "a writable path", "none"});
  std::cout << "written: " << path << '\n';
}

int main(int argc, char** argv) {
  std::string model, mesh, schedule = "1F1B", memory_path, timeline_path, trace_path;
  std::size_t devices = 1;
  CLI::App app{"Prints what published models need on several devices, and draws it"};
  app.add_option("model", model, "a model, such as gpt2_124m; all are listed where none is given");
  auto* const stages = app.add_option("--devices", devices, "pipeline stages, a device each")->capture_default_str();
  app.add_option("--mesh", mesh, "data ranks, pipeline stages and tensor ranks, such as 8,16,8; --devices 4 is 1,4,1")
      ->type_name("D,P,T")->excludes(stages);
  app.add_option("--schedule", schedule, "gpipe, 1F1B, interleaved, zb_h1 or zb_v")->capture_default_str();
  app.add_option("--svg", memory_path, "write the memory of GPT-2 and GPT-3 as a chart");
  app.add_option("--timeline", timeline_path, "write when each device works on what as a chart");
  app.add_option("--trace", trace_path, "write the same for ui.perfetto.dev; a forward takes 1 ms");
  CLI11_PARSE(app, argc, argv);
  try {
    std::vector<planned> plans;
    add_gpt2(plans);
    add_schedules(plans);
    add_gpt3(plans);
    add_gpt3_large(plans);
    add_llama(plans);
    add_t5(plans);

    if (!memory_path.empty())
      write(memory_path, [&](std::ostream& out) { mpx::write_memory_chart(out, chart_of(plans)); });
    if (model.empty()) {
      if (!timeline_path.empty() || !trace_path.empty())
        throw mpx::error({"no model", "--timeline, --trace", "one", "none"});
      if (!memory_path.empty()) return 0;
      std::printf("  %-12s %8s %8s  %-11s %17s %10s %16s   %s\n", "model", "mesh", "devices", "schedule", "parameters",
                  "in flight", "fullest device", "idle, if stages are equal");
      for (auto const& p : plans)
        std::printf("  %-12s %8s %8zu  %-11s %17s %10.1f %16s   %.1f %%\n", p.model.c_str(), to_string(p.mesh).c_str(),
                    p.mesh.devices(), p.schedule.c_str(), mpx::detail::with_thousands(p.parameters).c_str(),
                    p.in_flight, mpx::to_string(p.fullest).c_str(), 100 * p.idle_share);
      return 0;
    }
    if (mesh.empty()) mesh = to_string(mpx::mesh_shape{1, devices, 1});
    for (auto const& p : plans) {
      if (p.model != model || to_string(p.mesh) != mesh || p.schedule != schedule) continue;
      p.print(std::cout);
      if (!timeline_path.empty())
        write(timeline_path, [&](std::ostream& out) { mpx::write_timeline_chart(out, timeline_of(p), p.timeline); });
      if (!trace_path.empty())
        write(trace_path, [&](std::ostream& out) { mpx::write_trace(out, p.device_names, p.timeline); });
      return 0;
    }
    throw mpx::error(
        {"no such plan was compiled in", model + " on " + mesh + " under " + schedule, "what `plan` lists", ""});
  } catch (mpx::error const& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
