// A plan against its run: what was measured, and what differs from what was planned.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include <mpx/mpx.hpp>

#include "counting_backend.hpp"
#include "models.hpp"
#include "simulation.hpp"

namespace test {

/// What an evaluation and a step of full microbatches did. FLOPs are those of products.
struct measured {
  struct ends {
    std::size_t weights = 0, master = 0, gradients = 0, states = 0;  ///< bytes of the arena up to the last parameter's
  };
  struct traffic {
    std::size_t forward_bytes = 0, backward_bytes = 0, forward_messages = 0, backward_messages = 0;
  };
  std::vector<std::vector<std::byte>> arenas;     ///< of each device; activations and channels were painted before
  std::vector<double> forward_flops, step_flops;  ///< of each device
  std::vector<ends> parameters;                   ///< of each stage
  std::vector<std::size_t> scratch;               ///< of each stage: the most bytes that its layers took at once
  std::vector<traffic> links;                     ///< of the step
};

inline constexpr auto paint = std::byte{0xa5};

/// On the devices of one tensor rank.
template <class Model, class Recipe>
measured measure(std::size_t tensor_rank = 0) {
  machines_made = 0;
  mpx::trainer<Model, Recipe, counting_backend> trainer{{.dropout = 0.1f}};
  constexpr auto& plan = trainer.plan;
  auto const& e = plan.capacity;
  auto const full = make_batch(e.sequences * static_cast<int>(plan.microbatches), e.tokens[0], e.tokens[1]);
  auto& devices = trainer.devices().at(0, tensor_rank);
  auto const counted_now = [&] {  // machines are made rank by rank
    auto const* const first = counted.data() + tensor_rank * plan.device_count;
    return std::vector<double>(first, first + plan.device_count);
  };
  measured out;

  counted.fill(0);
  trainer.evaluate(full);
  out.forward_flops = counted_now();

  auto const traffic_so_far = [&] {
    std::vector<measured::traffic> links(plan.link_count);
    for (std::size_t link = 0; link < plan.link_count; ++link)
      for (std::size_t k = 0; k < plan.links[link].streams; ++k) {
        links[link].forward_bytes += devices.channels().forward(link, k).bytes_sent();
        links[link].backward_bytes += devices.channels().backward(link, k).bytes_sent();
        links[link].forward_messages += devices.channels().forward(link, k).messages();
        links[link].backward_messages += devices.channels().backward(link, k).messages();
      }
    return links;
  };
  auto const before = traffic_so_far();
  for (auto const& s : plan.stages)
    std::memset(devices.arena(s.device_index).data() + s.saved.offset, static_cast<int>(paint),
                s.incoming_backward.offset + s.incoming_backward.size - s.saved.offset);
  counted.fill(0);
  trainer.step(full);
  out.step_flops = counted_now();
  out.links = traffic_so_far();
  for (std::size_t link = 0; link < plan.link_count; ++link) {
    out.links[link].forward_bytes -= before[link].forward_bytes;
    out.links[link].backward_bytes -= before[link].backward_bytes;
    out.links[link].forward_messages -= before[link].forward_messages;
    out.links[link].backward_messages -= before[link].backward_messages;
  }

  for (std::size_t d = 0; d < plan.device_count; ++d)
    out.arenas.emplace_back(devices.arena(d).begin(), devices.arena(d).end());
  devices.each_stage([&](auto& stage) {
    std::byte const* const arena = devices.arena(stage.info().device_index).data();
    measured::ends ends;
    stage.each_parameter([&](auto const& p) {
      auto const end_of = [&](auto const* values) {
        auto const* const end = values + mpx::padded_elements(p.info->count);
        return static_cast<std::size_t>(reinterpret_cast<std::byte const*>(end) - arena);
      };
      ends.gradients = std::max(ends.gradients, end_of(p.gradient));
      if (p.shared) return;
      if (p.weights) ends.weights = end_of(p.weights);
      ends.master = end_of(p.master);
      ends.states = end_of(p.states + (Recipe::optimizer::states - 1) * p.state_stride);
    });
    out.parameters.push_back(ends);
    out.scratch.push_back(stage.scratch().high_water());
  });
  return out;
}

/// Notes what is not as planned.
class difference_list {
 public:
  template <class Number>
  void expect(std::string const& what, Number planned, Number found) {
    if (planned != found)
      said_.push_back(what + ": planned " + std::to_string(planned) + ", found " + std::to_string(found));
  }
  void add(std::string what) { said_.push_back(std::move(what)); }
  [[nodiscard]] std::vector<std::string> const& said() const { return said_; }

 private:
  std::vector<std::string> said_;
};

/// Arenas: their sizes, their regions one behind the other without a gap, and each region filled to its last cache line
/// and no further.
template <class Plan>
void compare_memory(difference_list& out, Plan const& plan, measured const& run) {
  std::vector<std::size_t> end(Plan::device_count);  // of the regions so far
  for (std::size_t number = 0; number < Plan::stage_count; ++number) {
    mpx::stage_info const& s = plan.stages[number];
    auto const& arena = run.arenas[s.device_index];
    std::string const stage = "stage " + std::to_string(number) + ", ";
    auto const follows = [&](char const* name, mpx::region const& r) {
      out.expect(stage + name + ", offset", r.offset, end[s.device_index]);
      end[s.device_index] = r.offset + r.size;
    };
    auto const holds = [&](char const* name, mpx::region const& r, std::size_t parameters_end) {
      follows(name, r);
      if (r.size > 0 || parameters_end > 0) out.expect(stage + name, r.offset + r.size, parameters_end);
    };
    auto const is_touched = [&](char const* name, mpx::region const& r) {
      follows(name, r);
      if (r.offset + r.size > arena.size()) return out.expect(stage + name, r.offset + r.size, arena.size());
      std::size_t high = r.size;  // one past the highest byte that changed
      while (high > 0 && arena[r.offset + high - 1] == paint) --high;
      out.expect(stage + name, r.size, mpx::aligned(high));
    };
    holds("weights", s.weights, run.parameters[number].weights);
    holds("master", s.master, run.parameters[number].master);
    holds("gradients", s.gradients, run.parameters[number].gradients);
    holds("states", s.states, run.parameters[number].states);
    follows("constants", s.constants);
    is_touched("saved", s.saved);
    is_touched("deferred gradients", s.deferred_gradients);
    is_touched("working", s.working);
    follows("gradient buffers", s.gradient_buffers);  // a stage of one layer uses one of the two
    is_touched("held gradients", s.held_gradients);
    is_touched("outgoing", s.outgoing);
    is_touched("scratch", s.scratch);
    is_touched("incoming forward", s.incoming_forward);
    is_touched("incoming backward", s.incoming_backward);
    out.expect(stage + "most scratch at once", s.scratch.size, run.scratch[number]);
  }
  for (std::size_t d = 0; d < Plan::device_count; ++d) {
    std::string const device = "device " + std::to_string(d);
    out.expect(device + ", arena", plan.arena_bytes[d], run.arenas[d].size());
    out.expect(device + ", end of the regions", plan.arena_bytes[d], end[d]);
  }
}

/// Links: bytes and messages of a step, each way.
template <class Plan>
void compare_links(difference_list& out, Plan const& plan, measured const& run) {
  for (std::size_t l = 0; l < Plan::link_count; ++l) {
    std::string const link = "link " + std::to_string(l) + ", ";
    std::size_t const messages = plan.links[l].streams * plan.microbatches;
    out.expect(link + "bytes forward", plan.link_bytes(l).count, run.links[l].forward_bytes);
    out.expect(link + "bytes backward", plan.link_bytes(l).count, run.links[l].backward_bytes);
    out.expect(link + "messages forward", messages, run.links[l].forward_messages);
    out.expect(link + "messages backward", messages, run.links[l].backward_messages);
  }
}

/// FLOPs: each product has two more of its size in backward, and a recomputed layer repeats its forward, for each half.
template <class Plan>
void compare_flops(difference_list& out, Plan const& plan, measured const& run) {
  auto const microbatches = static_cast<double>(plan.microbatches);
  for (std::size_t d = 0; d < Plan::device_count; ++d) {
    double forward = 0, step = 0;
    for (auto const& s : plan.stages) {
      if (s.device_index != d) continue;
      forward += microbatches * s.forward_flops;
      step += microbatches * (3 * s.forward_flops + s.recomputed_flops);
    }
    out.expect("device " + std::to_string(d) + ", FLOPs of a forward", forward, run.forward_flops[d]);
    out.expect("device " + std::to_string(d) + ", FLOPs of a step", step, run.step_flops[d]);
  }
}

/// The lists of actions come to their end, with as many microbatches in flight and as much idle time as planned, when a
/// forward and a backward of each stage take so long.
template <class Plan>
void compare_waiting(difference_list& out, Plan const& plan, std::vector<double> const& forward, std::vector<double> const& backward) {
  auto const simulation = simulate(plan.actions, mpx::channel_depth, forward, backward);
  if (!simulation.fault.empty()) return out.add("actions: " + simulation.fault);
  for (std::size_t s = 0; s < Plan::stage_count; ++s) {
    std::string const stage = "stage " + std::to_string(s) + ", microbatches ";
    out.expect(stage + "in flight", plan.stages[s].slots, simulation.in_flight[s]);
    out.expect(stage + "between halves", plan.stages[s].deferred, simulation.deferred[s]);
  }
  out.expect("makespan", plan.actions.makespan, simulation.makespan);
  if (std::abs(plan.idle_share() - simulation.idle_share) > 1e-12)
    out.expect("idle share", plan.idle_share(), simulation.idle_share);
}

/// Time, when each device works for as long as its products were counted to. Products are counted by device: where one has
/// several stages, each works for as long as planned (what they add up to is compared with the count before).
template <class Plan>
void compare_schedule(difference_list& out, Plan const& plan, measured const& run) {
  constexpr bool one_each = Plan::stage_count == Plan::device_count;
  std::vector<double> forward, backward;
  for (std::size_t s = 0; s < Plan::stage_count; ++s) {
    auto const& stage = plan.stages[s];
    if (!one_each) {
      forward.push_back(stage.forward_flops);
      backward.push_back(2 * stage.forward_flops + stage.recomputed_flops);
      continue;
    }
    std::size_t const d = stage.device_index;
    forward.push_back(run.forward_flops[d] / static_cast<double>(plan.microbatches));
    backward.push_back((run.step_flops[d] - run.forward_flops[d]) / static_cast<double>(plan.microbatches));
  }
  compare_waiting(out, plan, forward, backward);
}

/// All that differs between a plan and a run of it.
template <class Plan>
std::vector<std::string> differences(Plan const& plan, measured const& run) {
  difference_list out;
  compare_memory(out, plan, run);
  compare_links(out, plan, run);
  compare_flops(out, plan, run);
  compare_schedule(out, plan, run);
  return out.said();
}

}  // namespace test
