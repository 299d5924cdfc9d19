/// @file
/// Verdicts on a whole model under a recipe. Each is one sentence, with the facts as template arguments beside it.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <string_view>
#include <type_traits>

#include <mpx/plan/actions.hpp>
#include <mpx/plan/names.hpp>
#include <mpx/plan/partition.hpp>
#include <mpx/plan/routes.hpp>
#include <mpx/plan/tensor_ranks.hpp>
#include <mpx/plan/ties.hpp>
#include <mpx/plan/verify_schedule.hpp>

namespace mpx {

// Facts that errors print.
template <class Name> struct stream_named {};
template <class Name> struct rule_named {};
template <class Name> struct parameter_named {};
template <std::size_t Width> struct wanted_width {};
template <std::size_t N> struct wanted_tokens {};
template <std::size_t Width> struct produced_width {};  ///< 0: nobody writes it
template <spread OverTensor> struct wanted_spread {};
template <spread OverTensor> struct produced_spread {};

namespace detail {

/// The first layer for which `faulty` is true; the number of layers where there is none.
template <std::size_t N, class Faulty>
constexpr std::size_t first_layer(std::array<layer_info, N> const& layers, Faulty faulty) {
  std::size_t r = 0;
  while (r < N && !faulty(layers[r])) ++r;
  return r;
}

// Each question about a plan has
//   holds    the answer, a plain constant
//   verdict  a checker with the facts as arguments, whose static_assert fails; only asked for where `holds` is false
//            (a class of its own where facts take long to find: it is not looked into before)
// --- layers ----------------------------------------------------------------------------------------------------------
/// The verdict on what is no layer has been given where the model was put together.
template <class Model, class Recipe>
struct layers_are_layers {
  static constexpr bool holds = []<class... S>(segments<S...>) {
    return (!std::is_same_v<typename S::layer, no_layer> && ...);
  }(segments_of<Model>{});
  struct verdict {};
};

/// Asked for by several questions, and part of the plan: compilers remember a constant, but not what a function gave.
template <class Model, class Recipe>
inline constexpr auto routes_v = make_routing(layers_v<Model, Recipe>);
template <class Model, class Recipe>
inline constexpr auto ties_v = find_ties<Model, count_ties<Model>()>(layers_v<Model, Recipe>);

// --- streams ---------------------------------------------------------------------------------------------------------
template <class Layer, class Stream, class Wanted, class Produced, class WantedSpread, class ProducedSpread, bool Unread>
struct stream_link {
  static_assert(Unread,
                "mpx::sequential requires each stream that a layer reads to be written before it with the same shape "
                "and layout");
  static_assert(!Unread, "mpx::sequential requires each stream that a layer writes to be read by a later layer");
};
template <class Model, class Recipe>
struct streams_meet {
  static constexpr auto& broken = routes_v<Model, Recipe>.broken;
  static constexpr bool holds = broken.layer == layers_v<Model, Recipe>.size();
  static constexpr std::string_view text() { return broken.unread ? broken.produced.label : broken.wanted.label; }
  using verdict =
      stream_link<layer_named_t<Model, Recipe, broken.layer>, stream_named<typename named<streams_meet>::type>,
                  wanted_width<broken.wanted.width>, produced_width<broken.produced.width>,
                  wanted_spread<broken.wanted.over_tensor>, produced_spread<broken.produced.over_tensor>, broken.unread>;
};

// --- the loss, and what the tables hold ------------------------------------------------------------------------------
template <class Layer, bool Last>
struct ends_in_loss {
  static_assert(Last, "mpx::recipe requires its model to end in a loss: a last layer that gives nothing");
  static_assert(!Last, "mpx::recipe requires its model to have one loss: only its last layer gives nothing");
};
template <class Model, class Recipe>
struct loss_is_last {
  static constexpr std::size_t last = layers_v<Model, Recipe>.size() - 1;
  static constexpr std::size_t row =
      first_layer(layers_v<Model, Recipe>, [](layer_info const& layer) { return !layer.gives.exists(); });
  static constexpr bool holds = row == last;
  using verdict = ends_in_loss<layer_named_t<Model, Recipe, (row < last ? row : last)>, (row < last)>;
};

/// The feeds of a model, each once, and the first whose axis or form two layers see in different ways.
template <std::size_t Most>
struct model_feeds {
  std::array<feed_info, Most> feeds{};
  std::size_t count = 0;
  std::string_view disputed;
};
template <class Model, class Recipe>
inline constexpr auto model_feeds_v = [] {
  model_feeds<4 * segments_of<Model>::size> out;
  for (layer_info const& row : layers_v<Model, Recipe>) {
    if (row.copy > 0) continue;  // layers of one segment have one type: its first one speaks for all
    for (feed_info const& f : row.feeds) {
      if (f.label.empty()) continue;
      std::size_t k = 0;
      while (k < out.count && out.feeds[k].label != f.label) ++k;
      feed_info const& known = out.feeds[k];
      if (k == out.count)
        out.feeds[out.count++] = f;
      else if (out.disputed.empty() &&
               (known.on != f.on || known.per_sequence != f.per_sequence || known.padded != f.padded))
        out.disputed = f.label;
    }
  }
  return out;
}();

template <class Held, class Feeds>
struct tables_are_large_enough {
  static_assert(!sizeof(Held), "mpx::sequential requires at most 16 streams that wait for later layers and at most 12 feeds");
};
template <std::size_t N> struct held_streams {};
template <std::size_t N> struct feeds {};
template <class Model, class Recipe>
struct tables_hold {
  static constexpr std::size_t held = routes_v<Model, Recipe>.wanted_held;
  static constexpr std::size_t different_feeds = model_feeds_v<Model, Recipe>.count;
  static constexpr bool holds = held <= most_held_streams && different_feeds <= most_feeds;
  using verdict = tables_are_large_enough<held_streams<held>, feeds<different_feeds>>;
};

template <class Feed>
struct feeds_have_one_form {
  static_assert(!sizeof(Feed), "mpx::feed requires layers that name the same feed to agree on its axis and its form");
};
template <class Name> struct feed_named {};
template <class Model, class Recipe>
struct feeds_agree {
  static constexpr std::string_view text() { return model_feeds_v<Model, Recipe>.disputed; }
  static constexpr bool holds = text().empty();
  using verdict = feeds_have_one_form<feed_named<typename named<feeds_agree>::type>>;
};

// --- where activations live ------------------------------------------------------------------------------------------
template <class Layer>
struct input_home {
  static_assert(!sizeof(Layer),
                "mpx::layer requires each layer that takes a stream to keep its input or to work in place");
};
template <class Model, class Recipe>
struct inputs_have_a_home {
  static constexpr std::size_t row = first_layer(layers_v<Model, Recipe>, [](layer_info const& layer) {
    return layer.takes.exists() && !layer.keeps_input && !layer.in_place;
  });
  static constexpr bool holds = row == layers_v<Model, Recipe>.size();
  using verdict = input_home<layer_named_t<Model, Recipe, row>>;
};

template <class Layer>
struct output_home {
  static_assert(!sizeof(Layer),
                "mpx::layer requires a layer that reads its output in backward to stand in a block, before one that keeps it as "
                "its input");
};
template <class Model, class Recipe>
struct outputs_have_a_home {
  static constexpr std::size_t row =
      first_layer(layers_v<Model, Recipe>, [](layer_info const& layer) { return layer.reads_output; });
  static constexpr bool holds = row == layers_v<Model, Recipe>.size();
  using verdict = output_home<layer_named_t<Model, Recipe, row>>;
};

template <class Layer>
struct known_capacity {
  static_assert(!sizeof(Layer),
                "mpx::microbatch_capacity requires its user to give sequences and the tokens of each axis that the "
                "model uses");
};
template <class Model, class Recipe>
struct capacity_is_known {
  static constexpr std::size_t row = first_layer(layers_v<Model, Recipe>, [](layer_info const& layer) {
    constexpr extents most = Recipe::capacity;
    bool known = most.sequences > 0 && (!layer.gives.exists() || most.tokens_on(layer.gives.on) > 0);
    for (auto const& f : layer.feeds) known = known && (f.label.empty() || most.tokens_on(f.on) > 0);
    return !known;
  });
  static constexpr bool holds = row == layers_v<Model, Recipe>.size();
  using verdict = known_capacity<layer_named_t<Model, Recipe, row>>;
};

template <class Layer, class Tokens>
struct table_holds {
  static_assert(!sizeof(Layer),
                "mpx::microbatch_capacity requires its tokens to be at most the context that positions are known for");
};
template <class Model, class Recipe>
struct positions_are_known {
  static constexpr std::size_t tokens_of(layer_info const& layer) {
    return static_cast<std::size_t>(Recipe::capacity.tokens_on(layer.gives.on));
  }
  static constexpr std::size_t row = first_layer(
      layers_v<Model, Recipe>, [](layer_info const& layer) { return tokens_of(layer) > layer.most_tokens; });
  static constexpr bool holds = row == layers_v<Model, Recipe>.size();
  static constexpr std::size_t tokens = holds ? 0 : tokens_of(layers_v<Model, Recipe>[holds ? 0 : row]);
  using verdict = table_holds<layer_named_t<Model, Recipe, row>, wanted_tokens<tokens>>;
};

// --- placement -------------------------------------------------------------------------------------------------------
/// A placement's rules, where it has any.
template <class Placement>
inline constexpr std::array<std::string_view, 0> labels_of{};
template <class Placement>
  requires requires { Placement::labels; }
inline constexpr auto labels_of<Placement> = Placement::labels;

template <class Rule, class Nearest>
struct known_rule {
  static_assert(!sizeof(Rule), "mpx::place_at requires each rule to name a layer or section of the model");
};
template <class Model, class Recipe>
struct rules_are_known {
  static constexpr std::string_view text() {
    for (auto label : labels_of<typename Recipe::placement>)
      if (first_layer(layers_v<Model, Recipe>, [&](layer_info const& layer) { return layer.name.within(label); }) ==
          layers_v<Model, Recipe>.size())
        return label;
    return {};
  }
  static constexpr bool holds = text().empty();
  static constexpr nearest_names near() {
    nearest_names out{text()};
    offer_sections(out, layers_v<Model, Recipe>);
    offer_layers(out, layers_v<Model, Recipe>);
    return out;
  }
  struct verdict
      : known_rule<rule_named<typename named<rules_are_known>::type>, typename nearest_to<rules_are_known>::type> {};
};

template <class Layer>
struct placed_once {
  static_assert(!sizeof(Layer), "mpx::place_at requires each layer to be named by one rule, not by several");
};
template <class Model, class Recipe>
struct rules_do_not_overlap {
  static constexpr std::size_t row = first_layer(layers_v<Model, Recipe>, [](layer_info const& layer) {
    std::size_t hits = 0;
    for (auto label : labels_of<typename Recipe::placement>) hits += layer.name.within(label);
    return hits > 1;
  });
  static constexpr bool holds = row == layers_v<Model, Recipe>.size();
  using verdict = placed_once<layer_named_t<Model, Recipe, row>>;
};

template <class Layer, bool ByRules>
struct placed {
  static_assert(!ByRules, "mpx::place_at requires each layer of the model to be named by a rule");
  static_assert(ByRules, "mpx::recipe requires its placement to place every layer on a device");
};
/// A placement may say in its own words why it leaves layers without a device: `template <auto const& Layers> refusal`.
template <class Model, class Recipe, std::size_t Row>
struct refusal_of {
  using type = placed<layer_named_t<Model, Recipe, Row>, !labels_of<typename Recipe::placement>.empty()>;
};
template <class Model, class Recipe, std::size_t Row>
  requires requires { typename Recipe::placement::template refusal<layers_v<Model, Recipe>>; }
struct refusal_of<Model, Recipe, Row> {
  using type = typename Recipe::placement::template refusal<layers_v<Model, Recipe>>;
};
template <class Model, class Recipe>
struct layers_are_placed {
  static constexpr std::size_t row = [] {
    auto const& where = placement_v<Model, Recipe>;
    std::size_t r = 0;
    while (r < where.size() && where[r].placed()) ++r;
    return r;
  }();
  static constexpr bool holds = row == layers_v<Model, Recipe>.size();
  using verdict = typename refusal_of<Model, Recipe, row>::type;
};

template <class Devices, class Layers>
struct devices_work {
  static_assert(!sizeof(Devices),
                "mpx::recipe requires its placement to place a layer on each device that it asks for");
};
/// How many devices a placement asks for, where it says so.
template <class Placement>
inline constexpr std::size_t devices_of = 0;
template <class Placement>
  requires requires { { Placement::devices } -> std::convertible_to<std::size_t>; }
inline constexpr std::size_t devices_of<Placement> = Placement::devices;

template <class Model, class Recipe>
struct devices_have_layers {
  static constexpr std::size_t asked = devices_of<typename Recipe::placement>;
  static constexpr bool holds = asked <= count_devices(placement_v<Model, Recipe>);
  using verdict = devices_work<devices_given<asked>, layers_given<layers_v<Model, Recipe>.size()>>;
};

// --- tied parameters -------------------------------------------------------------------------------------------------
template <class Layer, class Parameter, bool Unequal>
struct tie_holds {
  static_assert(!Unequal, "mpx::tied_parameter requires both parameters to have the same shape and layout");
  static_assert(Unequal,
                "mpx::tied_parameter requires its user to name the parameter that owns the values, not a copy, whose "
                "gradient would be summed twice");
};
template <class Layer, class Parameter, class Nearest>
struct known_parameter {
  static_assert(!sizeof(Layer), "mpx::tied_parameter requires its user to name a parameter of the model in full");
};
template <class Model, class Recipe>
struct ties_hold {
  static constexpr auto& layers = layers_v<Model, Recipe>;
  static constexpr std::size_t none = layers.size();
  static constexpr auto& ties = ties_v<Model, Recipe>;

  static constexpr bool lost(tie const& t) { return t.owner_layer == none; }
  static constexpr bool unequal(tie const& t) { return t.count == 0; }
  static constexpr tie broken = [] {
    for (auto const& t : ties)
      if (lost(t) || unequal(t) || t.owner_is_copy) return t;
    return tie{none, 0, 0, 0, 0, false};
  }();
  static constexpr bool holds = broken.copy_layer == none;
  static constexpr std::string_view text() {
    std::string_view owner;
    each_parameter<Model>(layers, [&](std::size_t r, std::size_t k, parameter_info const& p) {
      if (r == broken.copy_layer && k == broken.copy_parameter) owner = p.tied_to;
    });
    return owner;
  }
  static constexpr nearest_names near() {
    nearest_names out{text()};
    offer_parameters<Model>(out, layers);
    return out;
  }
  template <bool Lost, class Layer, class Parameter>
  struct said : tie_holds<Layer, Parameter, unequal(broken)> {};
  template <class Layer, class Parameter>
  struct said<true, Layer, Parameter> : known_parameter<Layer, Parameter, typename nearest_to<ties_hold>::type> {};
  using verdict = said<lost(broken), layer_named_t<Model, Recipe, broken.copy_layer>,
                       parameter_named<typename named<ties_hold>::type>>;
};

// --- all together ----------------------------------------------------------------------------------------------------
struct no_fault {
  struct verdict {};
};

/// The first question that does not hold. Those after it are not asked: they may have no answer.
template <class First, class... Rest>
constexpr auto first_fault() {
  if constexpr (!First::holds) return std::type_identity<First>{};
  else if constexpr (sizeof...(Rest) > 0) return first_fault<Rest...>();
  else return std::type_identity<no_fault>{};
}

template <class Model, class Recipe>
using fault_of =
    typename decltype(first_fault<layers_are_layers<Model, Recipe>, loss_is_last<Model, Recipe>,
                                  streams_meet<Model, Recipe>, tables_hold<Model, Recipe>, feeds_agree<Model, Recipe>,
                                  inputs_have_a_home<Model, Recipe>, outputs_have_a_home<Model, Recipe>,
                                  capacity_is_known<Model, Recipe>,
                                  positions_are_known<Model, Recipe>, ties_hold<Model, Recipe>,
                                  rules_are_known<Model, Recipe>, rules_do_not_overlap<Model, Recipe>,
                                  layers_are_placed<Model, Recipe>, devices_have_layers<Model, Recipe>,
                                  mesh_has_the_devices<Model, Recipe>, ranks_share_evenly<Model, Recipe>,
                                  loss_has_all_rows<Model, Recipe>, chunks_fit<Model, Recipe>,
                                  microbatches_suffice<Model, Recipe>, schedule_ends<Model, Recipe>,
                                  gradients_fold<Model, Recipe>, slices_suffice<Model, Recipe>>())::type;

/// Gives the verdict on the first fault, and no other error.
template <class Model, class Recipe>
struct verified : fault_of<Model, Recipe>::verdict {
  static constexpr bool sound = std::is_same_v<fault_of<Model, Recipe>, no_fault>;
};

template <class Layer, class Nearest>
struct known_layer {
  static_assert(!sizeof(Layer), "mpx::device_of requires its user to name a layer of the model in full");
};
template <class Model, class Recipe, class Name>
struct named_layer {
  static constexpr std::size_t row = find_layer(layers_v<Model, Recipe>, Name::view());
  static constexpr bool known = row != layers_v<Model, Recipe>.size();
  static constexpr nearest_names near() {
    nearest_names out{Name::view()};
    offer_layers(out, layers_v<Model, Recipe>);
    return out;
  }
  static constexpr device where() {
    if constexpr (!known)
      static_cast<void>(sizeof(known_layer<layer_named<Name>, typename nearest_to<named_layer>::type>));
    return known ? placement_v<Model, Recipe>[known ? row : 0] : device{};
  }
};

}  // namespace detail

}  // namespace mpx
