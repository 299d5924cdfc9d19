/// @file
/// One stage at work: its layers, and the part of an arena that the plan gave it.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>

#include <mpx/core/random.hpp>
#include <mpx/layer/layers.hpp>
#include <mpx/plan/memory.hpp>
#include <mpx/plan/partition.hpp>
#include <mpx/runtime/microbatch.hpp>
#include <mpx/runtime/parameter_view.hpp>
#include <mpx/runtime/reducer.hpp>

namespace mpx {

/// The plan's tables, as a stage reads them.
struct stage_tables {
  stage_info const* stages = nullptr;    ///< of the whole model
  std::size_t number = 0;                ///< of this one
  layer_info const* layers = nullptr;  ///< of the whole model
  layer_place const* places = nullptr;
  route const* routes = nullptr;
  held_stream const* held = nullptr;
  std::size_t held_count = 0;
  extents capacity;
  std::span<held_slice const> slices{};  ///< where data ranks divide the stage: this one's
};

/// Which copies of a stage's tensors a microbatch works on.
struct copy_numbers {
  int slot = 0;      ///< saved activations
  int deferred = 0;  ///< what the later half of a backward reads besides
};

/// A stage whose layers have these types, on one tensor rank. Which layers of the model they are, and where their memory
/// is, are numbers: equal stages share one instantiation. SplitsBackward: its backwards come in halves, not whole.
/// Types   T: compute type; master weights, gradients and sums are accumulator_t<T>
template <class Machine, class T, class Layers, class Ranks = one_rank, bool SplitsBackward = false>
class stage;

template <class Machine, class T, class... Runs, class Ranks, bool SplitsBackward>
class stage<Machine, T, stage_layers<Runs...>, Ranks, SplitsBackward> {
 public:
  using accumulate = accumulator_t<T>;
  using context = layer_context<Machine, T, Ranks, SplitsBackward>;
  static constexpr bool master_copy = !std::is_same_v<T, accumulate>;

  /// Errors  compile time: the arena is another kind of device's
  template <device_kind Where>
  stage(stage_tables const& tables, Machine& machine, arena_view<Where> arena, Ranks const& ranks = {})
      : tables_(tables),
        machine_(machine),
        arena_(arena.begin),
        ranks_(ranks),
        scratch_(arena.begin + info().scratch.offset, info().scratch.size),
        collected_(at<accumulate>(info().gradients)) {
    require_same_memory<Machine, arena_view<Where>>();
  }

  [[nodiscard]] stage_info const& info() const { return tables_.stages[tables_.number]; }
  [[nodiscard]] std::size_t number() const { return tables_.number; }
  [[nodiscard]] Machine& machine() const { return machine_; }
  [[nodiscard]] scratch_space const& scratch() const { return scratch_; }

  /// Writes the first values of all parameters and constants. They depend on the seed and the parameter's full name
  /// alone; a tied copy begins with its owner's values.
  void initialise(std::uint64_t seed) {
    machine_.use();
    step_values const none{};
    each_layer([&]<class L>(std::size_t row) {
      run_prepare<L>(make_context(none, {}, {}, row), constants(row));
      for (auto const& p : parameters_of<L, Ranks::count>) {
        if (!p.tied_to.empty()) continue;
        fill(row, p, name_hash(p.label, name_hash(".", tables_.layers[row].name.hash())), seed);
      }
    });
  }

  /// Gives a parameter the values value_of(0), value_of(1), ...: the master, as far as this data rank holds it, and its
  /// compute-type copy. One that shares another's has none.
  template <class F>
  void set_values(std::size_t row, parameter_info const& p, F value_of) {
    if (tables_.places[row].shares_weights) return;
    constexpr std::size_t block = 1024;
    std::array<accumulate, block> values;
    std::array<T, block> rounded;
    machine_.use();
    std::size_t const begin = tables_.places[row].parameter_offset + p.offset;
    for (std::size_t done = 0; done < p.count; done += block) {
      std::size_t const n = p.count - done < block ? p.count - done : block;
      for (std::size_t i = 0; i < n; ++i) values[i] = value_of(done + i);
      each_run(begin + done, n, masters_divided(), [&](std::size_t first, std::size_t count, std::size_t stored) {
        machine_.upload(at<accumulate>(info().master) + stored, values.data() + (first - begin - done), count * sizeof(accumulate));
      });
      if constexpr (master_copy) {
        for (std::size_t i = 0; i < n; ++i) rounded[i] = T(values[i]);
        machine_.upload(at<T>(info().weights) + begin + done, rounded.data(), n * sizeof(T));
      }
    }
    machine_.finish();
  }

  /// Casts all master weights to the compute type. Where data ranks divide masters, none has them all.
  void refresh_weights() {
    if (masters_divided()) return;
    machine_.use();
    if constexpr (master_copy) machine_.cast(at<T>(info().weights), at<accumulate>(info().master), info().weight_elements);
    machine_.finish();
  }

  /// After the backward of the m-th of `count` microbatches, a power of two of them: their gradients are summed in pairs,
  /// pairs of pairs and so on, like the carries of a binary counter. A sum that has no equal partner yet waits. Done for
  /// `n` elements from the `begin`-th on.
  void fold_gradients(std::size_t m, std::size_t count, std::size_t begin, std::size_t n) {
    bool const last = m + 1 == count;
    accumulate* const sum = at<accumulate>(info().gradients) + begin;
    accumulate* waiting = at<accumulate>(info().waiting_sums) + begin;
    for (; m % 2 == 1; m /= 2, waiting += info().parameter_elements) machine_.add(sum, waiting, n);
    if (!last) machine_.copy(waiting, sum, n * sizeof(accumulate));
  }

  /// Copies this microbatch's part of the batch's columns to where the layers read them.
  void load_feeds(int slot, batch const& from, microbatch const& part) {
    for (std::size_t k = 0; k < info().feed_count; ++k) {
      feed_info const& f = info().feeds[k].feed;
      auto const tokens = static_cast<std::size_t>(f.per_sequence ? 1 : part.size.tokens_on(f.on));
      auto const count = static_cast<std::size_t>(part.size.sequences) * tokens;
      auto* const to = reinterpret_cast<std::int32_t*>(slot_begin(slot) + info().feeds[k].offset);
      if (auto const* column = from.find(f.label)) {
        machine_.upload(to, column->values.data() + static_cast<std::size_t>(part.first_sequence) * tokens, count * sizeof(std::int32_t));
      } else {
        machine_.fill_ids(to, -1, count);  // targets that are not known: padding
      }
    }
  }

  void forward(step_values const& step, microbatch const& part, int slot, accumulate* loss, float* capture) {
    each_layer([&]<class L>(std::size_t row) {
      auto const& route = tables_.routes[row];
      T* const x = tables_.layers[row].takes.exists() ? input(row, slot) : nullptr;
      if (route.takes_held >= 0) copy_stream(x, held_value(slot, route.takes_held), route.takes_held, part);
      context c = make_context(step, part, {slot, 0}, row);
      c.loss = loss;
      c.capture = capture;
      scratch_space::frame const frame(scratch_);
      run_forward<L>(c, weights(row), constants(row), static_cast<T const*>(x), output(row, slot), saved(row, slot));
    });
  }

  /// Runs the layers backwards. The gradient of what crossed from the stage before is then at `input_gradient()`. Calls
  /// before(row) and after(row) around each layer; after it, its parameters have their gradients. `replaces`: whatever stood
  /// there before; else they are added to it.
  template <class Before, class After>
  void backward(step_values const& step, microbatch const& part, int slot, bool replaces, Before&& before, After&& after) {
    run_backwards(step, part, {slot, 0}, [&](std::size_t row, auto run) {
      before(row);
      run(gradients(row), replaces);
      after(row);
    });
  }

  /// The same without the gradients of weights. What they are computed from is kept.
  void backward_input(step_values const& step, microbatch const& part, copy_numbers at) {
    run_backwards(step, part, at, [](std::size_t, auto run) { run(nullptr, false); });
  }

  /// The rest, later: the gradients of weights, layer by layer backwards.
  template <class Before, class After>
  void backward_weights(step_values const& step, microbatch const& part, copy_numbers at, bool replaces, Before&& before, After&& after) {
    each_layer_backwards([&]<class L>(std::size_t row) {
      before(row);
      if (tables_.layers[row].parameter_elements > 0) {
        context c = make_context(step, part, at, row);
        c.replaces_gradients = replaces;
        scratch_space::frame const frame(scratch_);
        recompute<L>(c, part, at, row, gradient_buffer(0));
        run_weight_gradients<L>(c, weights(row), gradients(row), constants(row), saved(row, at.slot));
      }
      after(row);
    });
  }

  // --- what crosses to other stages ------------------------------------------------------------------------------
  [[nodiscard]] T* first_input(int slot) { return input(info().first, slot); }
  [[nodiscard]] T* outgoing() { return at<T>(info().outgoing); }
  [[nodiscard]] T* incoming_gradient(int deferred) {
    if constexpr (SplitsBackward)
      if (T* const kept = kept_output_gradient(info().end - 1, {0, deferred})) return kept;
    return gradient_buffer(0);
  }
  [[nodiscard]] T const* input_gradient() const { return input_gradient_; }
  [[nodiscard]] T* held_value(int slot, int h) {
    return reinterpret_cast<T*>(slot_begin(slot) + info().held_offset[static_cast<std::size_t>(h)]);
  }
  [[nodiscard]] T* held_gradient(int h) {
    return reinterpret_cast<T*>(arena_ + info().held_gradients.offset + info().held_gradient_offset[static_cast<std::size_t>(h)]);
  }

  // --- parameters --------------------------------------------------------------------------------------------------
  /// Calls f(parameter_view) for each parameter, in the model's order.
  template <class F>
  void each_parameter(F&& f) {
    each_layer([&]<class L>(std::size_t row) {
      std::size_t index = 0, portion = 0;
      for (auto const& p : parameters_of<L, Ranks::count>) {
        layer_place const& place = tables_.places[row];
        stage_info const& holder = tables_.stages[place.weights_stage];
        std::size_t const offset = place.weights_offset + p.offset;
        f(parameter_view<T>{row, index++, &p, 0, p.count, portion, place.shares_weights,
                            masters_divided() ? nullptr : at<accumulate>(holder.master) + offset,
                            info().gradients_divided ? nullptr : at<accumulate>(info().gradients) + place.parameter_offset + p.offset,
                            info().divided ? nullptr : at<accumulate>(holder.states) + offset,
                            info().divided ? holder.weight_slice_elements : holder.weight_elements,
                            master_copy ? at<T>(holder.weights) + offset : nullptr});
        portion += portions_of(p);
      }
    });
  }

  /// Calls f(parameter_view) for each run of a parameter that this data rank updates: whole ones, unless data ranks
  /// divide them. Runs begin with a portion. Those of shared parameters have gradients alone.
  template <class F>
  void each_updated(F&& f) {
    each_parameter([&](parameter_view<T> const& p) {
      std::size_t const begin = tables_.places[p.layer].parameter_offset + p.info->offset;
      each_run(begin, p.count, info().divided, [&](std::size_t first, std::size_t count, std::size_t stored) {
        parameter_view<T> run = p;
        run.first = first - begin;
        run.count = count;
        run.portion += run.first / portion_elements;
        run.gradient = at<accumulate>(info().gradients) + (info().gradients_divided ? stored : first);
        run.master = p.shared ? nullptr : at<accumulate>(info().master) + (masters_divided() ? stored : first);
        run.states = p.shared ? nullptr : at<accumulate>(info().states) + stored;
        run.weights = p.shared || !p.weights ? nullptr : p.weights + run.first;
        f(run);
      });
    });
  }

  /// The same as typed parameters. `State` says what a gradient's layout has become, given backward's, and which layout a
  /// weight is updated in.
  template <class State, class F>
  void each_typed_run(F&& f) {
    each_updated([&](parameter_view<T> const& p) {
      // Few layouts, many parameters: f is compiled once for each layout.
      auto const as = [&]<spread Over>() {
        constexpr layout weight = parameter_layout(parameter_spread(Over, Ranks::rows_over_tensor));
        f(typed_parameter<T, State::updated(weight), State::layout_of(gradient_layout(weight)), Machine::kind>{p});
      };
      if (p.info->over_tensor == spread::sharded_0) as.template operator()<spread::sharded_0>();
      else if (p.info->over_tensor == spread::sharded_1) as.template operator()<spread::sharded_1>();
      else as.template operator()<spread::invariant>();
    });
  }

  /// Sums over the tensor ranks each gradient of which they know parts: its layout says so.
  template <class OverData>
  void sum_partial_gradients() {
    if constexpr (Ranks::count > 1)
      each_typed_run<OverData>([&]([[maybe_unused]] auto const& p) {
        if constexpr (decltype(p.gradient())::mesh_layout.tensor == spread::partial)
          ranks_.all_reduce(p.gradient().data, p.at.count);
      });
  }

  /// Calls f(row, portions of its parameters) for each layer.
  template <class F>
  void each_layer_portions(F&& f) {
    each_layer([&]<class L>(std::size_t row) {
      std::size_t portions = 0;
      for (auto const& p : parameters_of<L, Ranks::count>) portions += portions_of(p);
      f(row, portions);
    });
  }

  /// Where the stage has its gradients.
  [[nodiscard]] gradient_places<accumulate> gradient_memory() const {
    return {at<accumulate>(info().gradients), at<accumulate>(info().waiting_sums), at<accumulate>(info().bucket_buffers),
            info().bucket_elements, info().buckets_at_once};
  }
  /// Where gradients of tied parameters meet whose holders are on devices of two kinds.
  [[nodiscard]] accumulate* tied_gradients() const { return at<accumulate>(info().tied_gradients); }
  /// From here on backward adds to gradients there: those of the stage from the `first`-th on.
  void collect_gradients_in(accumulate* memory, std::size_t first) {
    collected_ = memory;
    first_collected_ = first;
  }
  /// What the layers read, but for what they share.
  [[nodiscard]] auto all_weights() const {
    if constexpr (master_copy) return std::span(at<T>(info().weights), info().weight_elements);
    else return std::span(at<accumulate>(info().master), info().weight_elements);
  }

 private:
  /// Calls run_layer(row, run) for each layer, the last one first; run(gradients, replaces) is its backward, null: of its
  /// input alone.
  template <class RunLayer>
  void run_backwards(step_values const& step, microbatch const& part, copy_numbers at, RunLayer&& run_layer) {
    for (std::size_t h = 0; h < tables_.held_count; ++h) {
      auto const& s = tables_.held[h];
      if (s.last_reader >= info().first && s.last_reader < info().end && s.writer < info().end)
        machine_.zero(held_gradient(static_cast<int>(h)), stream_elements(s.stream, part) * sizeof(T));
    }
    T const* gradient = incoming_gradient(at.deferred);
    each_layer_backwards([&]<class L>(std::size_t row) {
      layer_info const& layer = tables_.layers[row];
      auto const& route = tables_.routes[row];
      T const* const dy = route.gives_held >= 0 ? held_gradient(route.gives_held) : gradient;
      T* const free = gradient_buffer(gradient == gradient_buffer(0) ? 1 : 0);
      T* dx = nullptr;
      if (layer.gradient_replaces_input) dx = input(row, at.slot);
      else if (gradient_is_kept(tables_.layers, tables_.routes, row, info().first)) dx = kept_output_gradient(row - 1, at);
      else if (layer.takes.exists()) dx = free;
      run_layer(row, [&](accumulate* add_to, bool replaces) {
        context c = make_context(step, part, at, row);
        c.replaces_gradients = replaces;
        scratch_space::frame const frame(scratch_);
        recompute<L>(c, part, at, row, free);
        run_backward<L>(c, weights(row), add_to, constants(row), dy, dx, saved(row, at.slot));
        if (route.takes_held >= 0)
          machine_.add(held_gradient(route.takes_held), dx, stream_elements(layer.takes, part));
      });
      gradient = dx;
    });
    input_gradient_ = gradient;
  }

  /// The same forward again, from the kept input, for a layer that keeps nothing else; its output goes where nobody needs
  /// what is there.
  template <class L>
  void recompute(context const& c, microbatch const& part, copy_numbers at, std::size_t row, T* output) {
    if (!tables_.layers[row].recomputed) return;
    T* const x = reinterpret_cast<T*>(saved(row, at.slot));
    machine_.copy(x, input(row, at.slot), stream_elements(tables_.layers[row].takes, part) * sizeof(T));
    run_forward<L>(c, weights(row), constants(row), static_cast<T const*>(x), output, saved(row, at.slot));
  }

  template <class F>
  void each_layer(F&& f) {
    std::size_t row = info().first;
    (
        [&] {
          for (std::size_t i = 0; i < Runs::count; ++i) f.template operator()<typename Runs::layer>(row++);
        }(),
        ...);
  }

  template <class F>
  void each_layer_backwards(F&& f) {
    std::size_t row = info().end;
    auto const one = [&]<class Run>(std::type_identity<Run>) {
      for (std::size_t i = 0; i < Run::count; ++i) f.template operator()<typename Run::layer>(--row);
    };
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (one(std::type_identity<std::tuple_element_t<sizeof...(Runs) - 1 - I, std::tuple<Runs...>>>{}), ...);
    }(std::make_index_sequence<sizeof...(Runs)>{});
  }

  /// Do data ranks hold slices of the masters? Those that layers read are whole on each.
  [[nodiscard]] bool masters_divided() const { return master_copy && info().divided; }

  /// Calls f(first element, count, where they are stored) for what this data rank holds of `count` elements from `begin`
  /// on: all of them, at their place, unless they are divided.
  template <class F>
  void each_run(std::size_t begin, std::size_t count, bool divided, F&& f) const {
    if (!divided) return f(begin, count, begin);
    for (held_slice const& s : tables_.slices) {
      std::size_t const first = std::max(begin, s.begin), end = std::min(begin + count, s.end);
      if (first < end) f(first, end - first, s.stored + (first - s.begin));
    }
  }

  template <class U>
  [[nodiscard]] U* at(region const& r) const {
    return reinterpret_cast<U*>(arena_ + r.offset);
  }
  [[nodiscard]] std::byte* slot_begin(int slot) const {
    return arena_ + info().saved.offset + static_cast<std::size_t>(slot) * info().slot_size;
  }
  /// What a layer keeps in a slot until backward.
  [[nodiscard]] std::byte* kept(std::size_t row, int slot) const {
    return slot_begin(slot) + tables_.places[row].saved_offset;
  }
  /// Where a layer saves what its backward reads: in its slot, or, when it is recomputed, where the last one did too.
  [[nodiscard]] std::byte* saved(std::size_t row, int slot) const {
    return tables_.layers[row].recomputed ? arena_ + info().working.offset : kept(row, slot);
  }
  [[nodiscard]] std::byte* deferred_begin(std::size_t row, copy_numbers at) const {
    return arena_ + info().deferred_gradients.offset + static_cast<std::size_t>(at.deferred) * info().deferred_size +
           tables_.places[row].deferred_offset;
  }
  /// Where the gradient of a layer's output stays until its weights' are computed; null if that is at once.
  [[nodiscard]] T* kept_output_gradient(std::size_t row, copy_numbers at) {
    auto const where = find_kept_gradient(tables_.layers, tables_.routes, row, info().end);
    if (where == kept_gradient::nowhere) return nullptr;
    if (where == kept_gradient::over_next_input) return input(row + 1, at.slot);
    return reinterpret_cast<T*>(deferred_begin(row, at) + tables_.layers[row].deferred_bytes);
  }
  [[nodiscard]] accumulate* gradients(std::size_t row) const {
    return collected_ + (tables_.places[row].parameter_offset - first_collected_);
  }
  [[nodiscard]] T const* weights(std::size_t row) const {
    layer_place const& place = tables_.places[row];
    stage_info const& holder = tables_.stages[place.weights_stage];
    return at<T>(master_copy ? holder.weights : holder.master) + place.weights_offset;
  }
  [[nodiscard]] T* constants(std::size_t row) const { return at<T>(info().constants) + tables_.places[row].constant_offset; }
  [[nodiscard]] T* gradient_buffer(std::size_t turn) const {
    return reinterpret_cast<T*>(arena_ + info().gradient_buffers.offset + turn * info().gradient_buffer_size);
  }

  /// Where a layer finds its input: in what it keeps, or, when it works in place, where its output goes.
  [[nodiscard]] T* input(std::size_t row, int slot) {
    return tables_.layers[row].keeps_input ? reinterpret_cast<T*>(kept(row, slot)) : output(row, slot);
  }
  [[nodiscard]] T* output(std::size_t row, int slot) {
    if (!tables_.layers[row].gives.exists()) return nullptr;
    if (int const h = tables_.routes[row].gives_held; h >= 0) return held_value(slot, h);
    return row + 1 < info().end ? input(row + 1, slot) : outgoing();
  }

  [[nodiscard]] std::size_t stream_elements(stream_info const& s, microbatch const& part) const {
    return s.elements(part.size, ranks_.number());
  }
  void copy_stream(T* to, T const* from, int h, microbatch const& part) {
    machine_.copy(to, from, stream_elements(tables_.held[h].stream, part) * sizeof(T));
  }

  [[nodiscard]] context make_context(step_values const& step, microbatch const& part, copy_numbers at, std::size_t row) {
    context c{machine_, scratch_, step, part.size, tables_.capacity, static_cast<std::uint32_t>(part.first_sequence),
              tables_.layers[row].name.hash()};
    c.ranks = ranks_;
    layer_info const& layer = tables_.layers[row];
    if constexpr (SplitsBackward) {
      c.kept_gradient = kept_output_gradient(row, at);
      c.deferred = deferred_begin(row, at);
    }
    for (std::size_t k = 0; k < layer.reads.size() && layer.reads[k].exists(); ++k) {
      int const h = tables_.routes[row].reads_held[k];
      c.reads[k] = {layer.reads[k].label, held_value(at.slot, h), held_gradient(h)};
    }
    for (std::size_t k = 0; k < layer.feeds.size() && !layer.feeds[k].label.empty(); ++k)
      for (std::size_t i = 0; i < info().feed_count; ++i)
        if (info().feeds[i].feed.label == layer.feeds[k].label)
          c.feeds[k] = {layer.feeds[k].label, reinterpret_cast<std::int32_t const*>(slot_begin(at.slot) + info().feeds[i].offset)};
    return c;
  }

  void fill(std::size_t row, parameter_info const& p, std::uint64_t name, std::uint64_t seed) {
    std::uint64_t const key = mixed_key(seed, name);
    set_values(row, p, [&](std::size_t i) {
      auto const at = static_cast<std::uint32_t>(p.whole_index(i, ranks_.number()));
      auto const words = philox({at, 0, 0, 0}, key);
      double const u = uniform(words[0]), v = uniform(words[1]);
      double const unit = p.uniform ? std::sqrt(3.0) * (2 * u - 1) : std::sqrt(-2 * std::log(u)) * std::cos(6.283185307179586 * v);
      return static_cast<accumulate>(p.mean + p.deviation_of(at) * unit);
    });
  }

  stage_tables tables_;
  Machine& machine_;
  std::byte* arena_;
  Ranks ranks_;
  scratch_space scratch_;
  T const* input_gradient_ = nullptr;
  accumulate* collected_;  ///< where backward adds to gradients, those from first_collected_ on
  std::size_t first_collected_ = 0;
};

}  // namespace mpx
