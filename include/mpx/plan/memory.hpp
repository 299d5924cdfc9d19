/// @file
/// Where every tensor of a stage stands in its device's arena.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include <mpx/core/device.hpp>
#include <mpx/plan/actions.hpp>
#include <mpx/plan/parameter_places.hpp>
#include <mpx/plan/routes.hpp>

namespace mpx {

/// Bytes of an arena, from `offset`.
struct region {
  std::size_t offset = 0;
  std::size_t size = 0;
};

inline constexpr std::size_t most_link_streams = most_held_streams + 1;

/// The streams that cross from one stage to the next, and back as gradients. The stream that the next layer takes
/// stands first when it goes straight into it; held streams follow.
struct link_info {
  std::size_t streams = 0;
  std::array<stream_info, most_link_streams> stream{};
  std::array<int, most_link_streams> held{};  ///< number of the held stream; -1: straight into the next layer
  bool forward_at_sender = false;   ///< storage of its channels: with the receiver, unless the sender does not reach its memory
  bool backward_at_sender = false;  ///< likewise

  [[nodiscard]] constexpr bool has_direct() const { return streams > 0 && held[0] < 0; }
};

/// A feed of a stage, and where it stands in each slot.
struct stage_feed {
  feed_info feed{};
  std::size_t offset = 0;
};

/// One stage: its layers, and its part of its device's arena.
struct stage_info {
  device where{};
  std::size_t device_index = 0;
  std::size_t first = 0;  ///< row of its first layer
  std::size_t end = 0;    ///< one past its last
  std::size_t slots = 0;     ///< microbatches whose activations are kept at once
  std::size_t deferred = 0;  ///< microbatches at once between the two halves of their backward
  std::size_t parameters = 0;          ///< trainable values of all tensor ranks, tied copies left out
  std::size_t parameter_elements = 0;  ///< what memory holds on one rank, copies and alignment included: gradients of each
  std::size_t weight_elements = 0;     ///< and weights, masters and states of the first so many; others share theirs
  bool divided = false;                ///< data ranks divide the optimizer's state, and masters that layers do not read
  bool gradients_divided = false;      ///< and gradients
  std::size_t slice_elements = 0;      ///< then: of the data rank that has most
  std::size_t weight_slice_elements = 0;  ///< and of those with masters and states
  std::size_t tied_elements = 0;       ///< of gradients that meet here: those of holders whose memory not every other one reaches
  std::size_t bucket_elements = 0;     ///< of the largest bucket, where gradients are divided
  std::size_t buckets_at_once = 0;     ///< then: how many of them are under way at once
  double forward_flops = 0;            ///< of one microbatch at capacity, on one rank
  double recomputed_flops = 0;         ///< of its backward, on top of two forwards
  std::size_t tensor_sums = 0;         ///< bytes that each rank brings to the other tensor ranks, for one microbatch
  std::size_t partial_gradients = 0;   ///< elements of gradients that are summed over the tensor ranks, once a step

  region weights;           ///< in the compute type; empty when that is the master's type
  region master;            ///< f32
  region gradients;         ///< f32
  region waiting_sums;      ///< f32: gradients of earlier microbatches, where they are summed in a tree or one by one
  region tied_gradients;    ///< f32: where gradients of tied parameters meet whose holders are on devices of two kinds
  region bucket_buffers;    ///< f32: gradients of a microbatch on their way to the ranks that keep them
  region states;            ///< f32, the optimizer's
  region constants;         ///< tables that are never trained
  region saved;             ///< slots x slot_size
  region deferred_gradients;  ///< deferred x deferred_size: what the later half of a backward reads besides
  region working;           ///< what a recomputed layer saves, one layer at a time
  region gradient_buffers;  ///< gradients between layers, taking turns
  region held_gradients;
  region outgoing;  ///< what the last layer writes for the next stage
  region scratch;
  region incoming_forward;   ///< channel storage
  region incoming_backward;  ///< channel storage
  region outgoing_forward;   ///< channel storage, where the receiver has none that this stage's device reaches
  region outgoing_backward;  ///< likewise

  std::size_t slot_size = 0;
  std::size_t deferred_size = 0;
  std::size_t gradient_buffer_size = 0;
  std::array<std::size_t, most_held_streams> held_offset{};           ///< within a slot
  std::array<std::size_t, most_held_streams> held_gradient_offset{};  ///< within held_gradients
  std::size_t feed_count = 0;
  std::array<stage_feed, most_feeds> feeds{};
};

/// Where a layer's tensors begin within its stage.
struct layer_place : parameter_place {
  std::size_t constant_offset = 0;  ///< elements
  std::size_t saved_offset = 0;     ///< bytes within a slot
  std::size_t deferred_offset = 0;  ///< bytes within a copy of what is deferred
};

/// Streams on the edge before layer `edge`, between two devices.
template <std::size_t N>
[[nodiscard]] constexpr link_info make_link(std::array<layer_info, N> const& layers, routing<N> const& routes, std::size_t edge,
                                            device from, device to) {
  link_info link;
  link.forward_at_sender = !reaches(from.kind, to.kind);
  link.backward_at_sender = !reaches(to.kind, from.kind);
  if (routes.routes[edge].direct) {
    link.stream[0] = layers[edge].takes;
    link.held[0] = -1;
    link.streams = 1;
  }
  for (std::size_t h = 0; h < routes.held_count; ++h)
    if (routes.crosses(h, edge)) {
      link.stream[link.streams] = routes.held[h].stream;
      link.held[link.streams++] = static_cast<int>(h);
    }
  return link;
}

/// Where the gradient of a layer's output is, when its weights' gradients are computed later than its input's.
enum class kept_gradient : unsigned char { nowhere, over_next_input, behind_deferred };

template <class Layers, class Routes>
[[nodiscard]] constexpr kept_gradient find_kept_gradient(Layers const& layers, Routes const& routes, std::size_t row,
                                                         std::size_t stage_end) {
  if (!layers[row].defers_gradient) return kept_gradient::nowhere;
  bool const next_writes_over = row + 1 < stage_end && routes[row + 1].direct && layers[row + 1].gradient_replaces_input;
  return next_writes_over ? kept_gradient::over_next_input : kept_gradient::behind_deferred;
}

/// Is the gradient of what a layer takes written where the layer before it reads it later?
template <class Layers, class Routes>
[[nodiscard]] constexpr bool gradient_is_kept(Layers const& layers, Routes const& routes, std::size_t row,
                                              std::size_t stage_first) {
  return row > stage_first && routes[row].direct && layers[row - 1].defers_gradient;
}

/// How often a backward repeats a layer's forward: once if that is recomputed, for each half of backward.
[[nodiscard]] constexpr int forwards_in_backward(layer_info const& layer, extents const& e) {
  return layer.recomputed ? e.splits_backward ? 2 : 1 : 0;
}

struct memory_sizes {
  extents capacity;
  element_sizes elements;
  bool master_copy = false;
  std::size_t optimizer_states = 0;
  std::size_t waiting_sums = 0;  ///< copies of the gradients beside the one under way
};

/// Counts what a stage holds of its layers' parameters.
template <std::size_t N>
constexpr void count_parameters(stage_info& stage, std::array<parameter_place, N> const& places,
                                std::array<layer_info, N> const& layers) {
  for (std::size_t r = stage.first; r < stage.end; ++r) {
    stage.parameter_elements += layers[r].parameter_elements;
    if (!places[r].shares_weights) stage.weight_elements += layers[r].parameter_elements;
  }
}

/// Lays out one stage, whose parameters are counted and placed, behind `arena_size` bytes of its device, and grows that
/// number.
template <std::size_t N>
constexpr void lay_out_stage(stage_info& stage, std::array<layer_place, N>& places, std::array<layer_info, N> const& layers,
                             routing<N> const& routes, link_info const& before, link_info const& after, bool has_next,
                             memory_sizes const& sizes, std::size_t& arena_size) {
  extents const& e = sizes.capacity;
  element_sizes const& of = sizes.elements;
  auto const place = [&](region& r, std::size_t size) {
    r = {arena_size, aligned(size)};
    arena_size += r.size;
  };

  std::size_t constants = 0, slot = 0, deferred = 0, working = 0, buffer = 0, scratch = 0;
  for (std::size_t r = stage.first; r < stage.end; ++r) {
    layer_info const& layer = layers[r];
    places[r].constant_offset = constants;
    places[r].saved_offset = slot;
    places[r].deferred_offset = deferred;
    constants += layer.constant_elements;
    slot += layer.kept_bytes;
    deferred += layer.deferred_bytes;
    if (find_kept_gradient(layers, routes.routes, r, stage.end) == kept_gradient::behind_deferred)
      deferred += layer.gives.bytes(e, of);
    if (layer.recomputed) {
      working = std::max(working, layer.saved_bytes);
      buffer = std::max(buffer, layer.gives.bytes(e, of));  // its output, computed again and not needed
    }
    stage.recomputed_flops += forwards_in_backward(layer, e) * layer.forward_flops;
    scratch = std::max({scratch, layer.forward_scratch, layer.backward_scratch});
    if (layer.takes.exists() && !layer.gradient_replaces_input && !gradient_is_kept(layers, routes.routes, r, stage.first))
      buffer = std::max(buffer, layer.takes.bytes(e, of));
    stage.parameters += layer.parameters;
    stage.forward_flops += layer.forward_flops;
    if (!stage.divided) stage.partial_gradients += layer.partial_gradients;
    stage.tensor_sums += (layer.recomputed ? 2 : 1) * layer.forward_sums + layer.backward_sums;
    for (auto const& f : layer.feeds) {
      if (f.label.empty()) continue;
      bool known = false;
      for (std::size_t k = 0; k < stage.feed_count; ++k) {
        if (stage.feeds[k].feed.label != f.label) continue;
        known = true;
        auto& limit = stage.feeds[k].feed.limit;
        limit = limit == 0 ? f.limit : f.limit == 0 ? limit : std::min(limit, f.limit);
      }
      if (!known) stage.feeds[stage.feed_count++].feed = f;
    }
  }
  std::size_t held_gradients = 0;
  for (std::size_t h = 0; h < routes.held_count; ++h) {
    if (routes.held[h].writer >= stage.end || routes.held[h].last_reader < stage.first) continue;
    stage.held_offset[h] = slot;
    stage.held_gradient_offset[h] = held_gradients;
    slot += routes.held[h].stream.bytes(e, of);
    held_gradients += routes.held[h].stream.bytes(e, of);
  }
  for (std::size_t k = 0; k < stage.feed_count; ++k) {
    stage.feeds[k].offset = slot;
    slot += stage.feeds[k].feed.bytes(e);
  }
  std::size_t before_channels = 0, after_channels = 0, outgoing = 0;  // of one way
  for (std::size_t k = 0; k < before.streams; ++k) before_channels += channel_depth * before.stream[k].bytes(e, of);
  if (has_next) {
    for (std::size_t k = 0; k < after.streams; ++k) after_channels += channel_depth * after.stream[k].bytes(e, of);
    if (after.has_direct()) {
      outgoing = after.stream[0].bytes(e, of);
      if (!layers[stage.end - 1].defers_gradient) buffer = std::max(buffer, outgoing);
    }
  }

  stage.slot_size = slot;
  stage.deferred_size = deferred;
  stage.gradient_buffer_size = buffer;
  place(stage.weights, sizes.master_copy ? stage.weight_elements * of.compute : 0);
  std::size_t const updated = stage.divided ? stage.weight_slice_elements : stage.weight_elements;
  place(stage.master, (sizes.master_copy ? updated : stage.weight_elements) * of.accumulate);
  place(stage.gradients, (stage.gradients_divided ? stage.slice_elements : stage.parameter_elements) * of.accumulate);
  place(stage.waiting_sums, stage.parameter_elements * of.accumulate * sizes.waiting_sums);
  place(stage.tied_gradients, stage.tied_elements * of.accumulate);
  place(stage.bucket_buffers, stage.bucket_elements * stage.buckets_at_once * of.accumulate);
  place(stage.states, updated * of.accumulate * sizes.optimizer_states);
  place(stage.constants, constants * of.compute);
  place(stage.saved, slot * stage.slots);
  place(stage.deferred_gradients, deferred * stage.deferred);
  place(stage.working, working);
  place(stage.gradient_buffers, 2 * buffer);
  place(stage.held_gradients, held_gradients);
  place(stage.outgoing, outgoing);
  place(stage.scratch, scratch);
  place(stage.incoming_forward, before.forward_at_sender ? 0 : before_channels);
  place(stage.incoming_backward, after.backward_at_sender ? 0 : after_channels);
  place(stage.outgoing_forward, after.forward_at_sender ? after_channels : 0);
  place(stage.outgoing_backward, before.backward_at_sender ? before_channels : 0);
}

}  // namespace mpx
