/// @file
/// Verdicts on a whole model under a recipe. Each is one sentence, with the facts as template arguments beside it.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include <mpx/plan/actions.hpp>
#include <mpx/plan/partition.hpp>
#include <mpx/plan/routes.hpp>

namespace mpx {

/// A parameter that shares its values with another one.
struct tie {
  std::size_t copy_layer = 0, copy_parameter = 0;
  std::size_t owner_layer = 0, owner_parameter = 0;
  std::size_t count = 0;
};

// Facts that errors print.
template <class Name> struct layer_named {};
template <class Name> struct stream_named {};
template <class Name> struct rule_named {};
template <class Name> struct parameter_named {};
template <std::size_t Width> struct wanted_width {};
template <std::size_t Width> struct produced_width {};  ///< 0: nobody writes it
template <std::size_t N> struct given_microbatches {};
template <std::size_t N> struct needed_microbatches {};
template <int Stage> struct at_stage {};
template <int Microbatch> struct at_microbatch {};
template <schedule_fault Fault> struct fault {};

namespace detail {

/// A constexpr text as a name<"...">. Source::text() gives the text.
template <class Source>
struct named {
  static constexpr auto make() {
    constexpr std::size_t size = Source::text().size();
    fixed_string<size + 1> out;
    for (std::size_t i = 0; i < size; ++i) out.text[i] = Source::text()[i];
    return out;
  }
  using type = name<make()>;
};

struct short_text {
  std::array<char, 96> chars{};
  std::size_t length = 0;
  constexpr void add(std::string_view s) {
    for (char c : s)
      if (length < chars.size()) chars[length++] = c;
  }
  [[nodiscard]] constexpr std::size_t size() const { return length; }
  constexpr char operator[](std::size_t i) const { return chars[i]; }
};

template <class Model, class Recipe, std::size_t Row>
struct layer_text {
  static constexpr short_text text() {
    short_text out;
    if (Row < layers_v<Model, Recipe>.size()) {
      auto const& n = layers_v<Model, Recipe>[Row].name;
      out.add(n.path);
      if (n.index >= 0) {
        auto const digits = n.digits();
        out.add(".");
        out.add({digits.text.data(), digits.size});
      }
    }
    return out;
  }
};
template <class Model, class Recipe, std::size_t Row>
using layer_named_t = layer_named<typename named<layer_text<Model, Recipe, Row>>::type>;

// --- streams ---------------------------------------------------------------------------------------------------------
template <class Model, class Recipe>
struct routes_of {
  static constexpr auto broken = make_routing(layers_v<Model, Recipe>).broken;
  static constexpr std::size_t none = layers_v<Model, Recipe>.size();
};
template <class Model, class Recipe>
struct broken_stream_text {
  static constexpr std::string_view text() {
    constexpr auto& b = routes_of<Model, Recipe>::broken;
    return b.unread ? b.produced.label : b.wanted.label;
  }
};

template <class Layer, class Stream, class Wanted, class Produced, bool Read, bool Unread>
struct stream_link {
  static_assert(Read, "mpx::sequential requires each stream that a layer reads to be written before it with the same shape");
  static_assert(Unread, "mpx::sequential requires each stream that a layer writes to be read by a later layer");
  static constexpr bool sound = Read && Unread;
};
template <class Model, class Recipe, class R = routes_of<Model, Recipe>>
using checked_streams =
    stream_link<layer_named_t<Model, Recipe, R::broken.layer>,
                stream_named<typename named<broken_stream_text<Model, Recipe>>::type>, wanted_width<R::broken.wanted.width>,
                produced_width<R::broken.produced.width>, R::broken.layer == R::none || R::broken.unread, !R::broken.unread>;

// --- where activations live ------------------------------------------------------------------------------------------
template <class Layer, bool Ok>
struct input_home {
  static_assert(Ok, "mpx::layer requires each layer that takes a stream to keep its input or to work in place");
  static constexpr bool sound = Ok;
};
template <class Model, class Recipe>
struct homeless {
  static constexpr std::size_t row = [] {
    auto const& layers = layers_v<Model, Recipe>;
    std::size_t r = 0;
    while (r < layers.size() && (!layers[r].takes.exists() || layers[r].keeps_input || layers[r].in_place)) ++r;
    return r;
  }();
};

template <class Layer, class Tokens, bool Ok>
struct table_holds {
  static_assert(Ok, "mpx::microbatch_capacity requires its tokens to be at most the context that positions are known for");
  static constexpr bool sound = Ok;
};
template <std::size_t N> struct wanted_tokens {};
template <class Model, class Recipe>
struct long_sequence {
  static constexpr std::size_t row = [] {
    auto const& layers = layers_v<Model, Recipe>;
    std::size_t r = 0;
    while (r < layers.size() && static_cast<std::size_t>(Recipe::capacity.tokens_on(layers[r].gives.on)) <= layers[r].most_tokens) ++r;
    return r;
  }();
  static constexpr std::size_t tokens =
      row < layers_v<Model, Recipe>.size()
          ? static_cast<std::size_t>(Recipe::capacity.tokens_on(layers_v<Model, Recipe>[row].gives.on)) : 0;
  using type = table_holds<layer_named_t<Model, Recipe, row>, wanted_tokens<tokens>, row == layers_v<Model, Recipe>.size()>;
};

// --- placement -------------------------------------------------------------------------------------------------------
template <class Placement>
concept has_rules = requires { Placement::labels; };

/// The first layer that several rules name, and the first rule that names no layer.
template <class Model, class Recipe>
struct rule_faults {
  using placement = typename Recipe::placement;
  static constexpr std::size_t none = layers_v<Model, Recipe>.size();
  static constexpr std::size_t twice = [] {
    if constexpr (has_rules<placement>) {
      for (std::size_t r = 0; r < none; ++r) {
        std::size_t hits = 0;
        for (auto label : placement::labels) hits += layers_v<Model, Recipe>[r].name.within(label);
        if (hits > 1) return r;
      }
    }
    return none;
  }();
  static constexpr std::string_view unknown = [] {
    if constexpr (has_rules<placement>) {
      for (auto label : placement::labels) {
        bool hit = false;
        for (auto const& layer : layers_v<Model, Recipe>) hit = hit || layer.name.within(label);
        if (!hit) return label;
      }
    }
    return std::string_view{};
  }();
  static constexpr std::string_view text() { return unknown; }
  static constexpr std::size_t unplaced = [] {
    std::size_t r = 0;
    while (r < none && placement_v<Model, Recipe>[r].placed()) ++r;
    return r;
  }();
};

template <class Rule, bool Ok>
struct known_rule {
  static_assert(Ok, "mpx::place_at requires each rule to name a layer or section of the model");
  static constexpr bool sound = Ok;
};
template <class Layer, bool Ok>
struct placed_once {
  static_assert(Ok, "mpx::place_at requires each layer to be named by one rule, not by several");
  static constexpr bool sound = Ok;
};
template <class Layer, bool Ok>
struct placed {
  static_assert(Ok, "mpx::recipe requires its placement to place every layer on a device");
  static constexpr bool sound = Ok;
};

// --- schedule --------------------------------------------------------------------------------------------------------
template <class Given, class Needed, bool Ok>
struct enough_microbatches {
  static_assert(Ok, "mpx::recipe requires its pipeline schedule to have at least the microbatches that it needs for its stages");
  static constexpr bool sound = Ok;
};
template <class Fault, class Stage, class Microbatch, bool Tasks, bool Ends>
struct schedule_runs {
  static_assert(Tasks, "mpx::pipeline_schedule requires each stage to run every forward once and then its backward once");
  static_assert(Ends, "mpx::pipeline_schedule requires its stages to reach their end, but their sends and receives deadlock");
  static constexpr bool sound = Tasks && Ends;
};

template <class Model, class Recipe>
struct dry_run {
  static constexpr auto value = [] {
    constexpr auto& where = placement_v<Model, Recipe>;
    constexpr std::size_t S = count_stages(where);
    std::array<std::size_t, S> device_of_stage{};
    std::array<double, S> cost{};
    constexpr auto bounds = stage_bounds<S>(where);
    for (std::size_t s = 0; s < S; ++s) {
      cost[s] = 1;
      while (device_of_stage[s] < s && where[bounds[device_of_stage[s]]] != where[bounds[s]]) ++device_of_stage[s];
    }
    // Devices are numbered by their first stage here: enough to tell whether the lists end.
    auto const lists = make_actions<typename Recipe::schedule, S>(device_of_stage, 2, cost, cost);
    struct {
      schedule_fault fault;
      int stage, microbatch;
    } out{lists.fault, lists.fault_stage, lists.fault_microbatch};
    return out;
  }();
};

// --- tied parameters -------------------------------------------------------------------------------------------------
template <class Model>
constexpr std::size_t count_ties() {
  return []<class... S>(segments<S...>) {
    std::size_t ties = 0;
    (
        [&] {
          for (auto const& p : parameters_of<typename S::layer>) ties += p.tied_to.empty() ? 0 : S::count;
        }(),
        ...);
    return ties;
  }(segments_of<Model>{});
}

/// Calls f(row, parameter index, parameter) for every parameter of every layer whose type has ties, or is asked for.
template <class Model, std::size_t N, class F>
constexpr void each_parameter(std::array<layer_info, N> const& layers, F f) {
  []<class... S>(segments<S...>, std::array<layer_info, N> const& rows, F& call) {
    std::size_t s = 0;
    (
        [&] {
          for (std::size_t r = 0; r < N; ++r) {
            if (rows[r].segment != s) continue;
            auto const& list = parameters_of<typename S::layer>;
            for (std::size_t k = 0; k < list.size(); ++k) call(r, k, list[k]);
          }
          ++s;
        }(),
        ...);
  }(segments_of<Model>{}, layers, f);
}

/// Is `full` the name of this layer's parameter?
constexpr bool is_parameter(std::string_view full, layer_name const& layer, std::string_view label) {
  if (full.size() < label.size() + 1 || !full.ends_with(label)) return false;
  full.remove_suffix(label.size());
  return full.back() == '.' && layer.is(full.substr(0, full.size() - 1));
}

template <class Model, std::size_t Ties, std::size_t N>
constexpr std::array<tie, Ties> find_ties(std::array<layer_info, N> const& layers) {
  std::array<tie, Ties> ties{};
  if constexpr (Ties > 0) {
    std::size_t n = 0;
    std::array<std::string_view, Ties> owners{};
    each_parameter<Model>(layers, [&](std::size_t r, std::size_t k, parameter_info const& p) {
      if (p.tied_to.empty()) return;
      ties[n] = {r, k, N, 0, p.count};
      owners[n++] = p.tied_to;
    });
    each_parameter<Model>(layers, [&](std::size_t r, std::size_t k, parameter_info const& p) {
      for (std::size_t i = 0; i < Ties; ++i)
        if (p.tied_to.empty() && is_parameter(owners[i], layers[r].name, p.label)) {
          ties[i].owner_layer = r;
          ties[i].owner_parameter = k;
          if (p.count != ties[i].count) ties[i].count = 0;
        }
    });
  }
  return ties;
}

template <class Copy, bool Found, bool Equal, bool Once>
struct tie_holds {
  static_assert(Found, "mpx::tied_parameter requires its user to name a parameter of the model in full");
  static_assert(Equal, "mpx::tied_parameter requires both parameters to have the same shape");
  static_assert(Once, "mpx::tied_parameter requires each parameter to be tied once, or its gradient would be summed twice");
  static constexpr bool sound = Found && Equal && Once;
};

template <class Model, class Recipe>
struct tie_faults {
  static constexpr std::size_t none = layers_v<Model, Recipe>.size();
  static constexpr auto ties = find_ties<Model, count_ties<Model>()>(layers_v<Model, Recipe>);
  static constexpr std::size_t lost = [] {
    for (auto const& t : ties)
      if (t.owner_layer == none) return t.copy_layer;
    return none;
  }();
  static constexpr std::size_t unequal = [] {
    for (auto const& t : ties)
      if (t.owner_layer != none && t.count == 0) return t.copy_layer;
    return none;
  }();
  static constexpr std::size_t twice = [] {
    for (std::size_t a = 0; a < ties.size(); ++a)
      for (std::size_t b = 0; b < a; ++b)
        if (ties[a].owner_layer == ties[b].owner_layer && ties[a].owner_parameter == ties[b].owner_parameter)
          return ties[a].copy_layer;
    return none;
  }();
  static constexpr std::size_t at = lost != none ? lost : unequal != none ? unequal : twice;
  using type = tie_holds<layer_named_t<Model, Recipe, at>, lost == none, unequal == none, twice == none>;
};

// --- all together, one after the other: the first fault ends the questions, so that it is the first error printed --------
template <class Model, class Recipe>
struct verified {
  using streams = checked_streams<Model, Recipe>;
  static constexpr bool connected = [] {
    if constexpr (!streams::sound) {
      return false;
    } else {
      using homes = homeless<Model, Recipe>;
      return input_home<layer_named_t<Model, Recipe, homes::row>, homes::row == layers_v<Model, Recipe>.size()>::sound &&
             long_sequence<Model, Recipe>::type::sound && tie_faults<Model, Recipe>::type::sound;
    }
  }();
  static constexpr bool on_devices = [] {
    if constexpr (!connected) {
      return false;
    } else {
      using faults = rule_faults<Model, Recipe>;
      if constexpr (!known_rule<rule_named<typename named<faults>::type>, faults::unknown.empty()>::sound) return false;
      else if constexpr (!placed_once<layer_named_t<Model, Recipe, faults::twice>, faults::twice == faults::none>::sound) return false;
      else return placed<layer_named_t<Model, Recipe, faults::unplaced>, faults::unplaced == faults::none>::sound;
    }
  }();
  static constexpr bool sound = [] {
    if constexpr (!on_devices) {
      return false;
    } else {
      using schedule = typename Recipe::schedule;
      constexpr std::size_t needed =
          schedule::fewest_microbatches(static_cast<int>(count_stages(placement_v<Model, Recipe>)));
      if constexpr (!enough_microbatches<given_microbatches<schedule::microbatches>, needed_microbatches<needed>,
                                         schedule::microbatches >= needed>::sound) {
        return false;
      } else {
        constexpr auto run = dry_run<Model, Recipe>::value;
        return schedule_runs<fault<run.fault>, at_stage<run.stage>, at_microbatch<run.microbatch>,
                             run.fault == schedule_fault::none || run.fault == schedule_fault::deadlock,
                             run.fault != schedule_fault::deadlock>::sound;
      }
    }
  }();
};

template <class Name, bool Ok>
struct known_layer {
  static_assert(Ok, "mpx::device_of requires its user to name a layer of the model in full");
  static constexpr bool sound = Ok;
};

template <class Model, class Recipe, class Name>
struct named_layer {
  static constexpr std::size_t row = find_layer(layers_v<Model, Recipe>, Name::view());
  static constexpr device where() {
    if constexpr (known_layer<layer_named<Name>, row != layers_v<Model, Recipe>.size()>::sound)
      return placement_v<Model, Recipe>[row];
    else
      return {};
  }
};

}  // namespace detail

}  // namespace mpx
