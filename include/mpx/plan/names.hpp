/// @file
/// Names as facts in errors: a text of the plan's as a type, and the existing names that are nearest to a misspelt one.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <utility>

#include <mpx/core/fixed_string.hpp>
#include <mpx/plan/layer_table.hpp>
#include <mpx/plan/ties.hpp>

namespace mpx {

/// A fact that errors print: existing names, the nearest first.
template <class... Names> struct nearest {};
template <class Name> struct layer_named {};

namespace detail {

/// A constexpr text as a name<"...">. Source::text() gives the text.
template <class Source>
struct named {
  static constexpr auto make() {
    constexpr std::size_t size = Source::text().size();
    fixed_string<size + 1> out;
    for (std::size_t i = 0; i < size; ++i) out.text[i] = Source::text()[i];
    out.text[size] = '\0';  // clang prints an array as text where each of its elements has been written
    return out;
  }
  using type = name<make()>;
};

/// What is longer is cut off: it is read by people alone.
struct short_text {
  static constexpr std::size_t most = 96;
  std::array<char, most> chars{};
  std::size_t length = 0;

  constexpr void add(std::string_view s) {
    for (char c : s)
      if (length < most) chars[length++] = c;
  }
  constexpr void add(layer_name const& layer) {
    add(layer.path);
    if (layer.index < 0) return;
    auto const digits = layer.digits();
    add(".");
    add(std::string_view{digits.text.data(), digits.size});
  }
  [[nodiscard]] constexpr std::size_t size() const { return length; }
  constexpr char operator[](std::size_t i) const { return chars[i]; }
  [[nodiscard]] constexpr std::string_view view() const { return {chars.data(), length}; }
};

/// How many characters have to be inserted, deleted or replaced to turn one text into the other; `enough` where it is
/// that many or more. Of a text longer than short_text holds, only the beginning is compared.
/// Source  Wagner, Fischer 1974, "The string-to-string correction problem"
[[nodiscard]] constexpr std::size_t edit_distance(std::string_view a, std::string_view b, std::size_t enough) {
  a = a.substr(0, short_text::most);
  b = b.substr(0, short_text::most);
  // What both begin or end with is left alone: compilers count their steps.
  while (!a.empty() && !b.empty() && a.front() == b.front()) {
    a.remove_prefix(1);
    b.remove_prefix(1);
  }
  while (!a.empty() && !b.empty() && a.back() == b.back()) {
    a.remove_suffix(1);
    b.remove_suffix(1);
  }
  if (a.size() >= b.size() + enough || b.size() >= a.size() + enough) return enough;
  std::size_t row[short_text::most + 1]{};  // row[j]: from the first i characters of a to the first j of b
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0], least = row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      std::size_t const replaced = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      std::size_t const longer = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
      row[j] = longer < replaced ? longer : replaced;
      least = row[j] < least ? row[j] : least;
    }
    if (least >= enough) return enough;
  }
  return std::min(row[b.size()], enough);
}

/// The three names that are nearest to a wanted one; of equally near ones those offered first. The nearest is always
/// among them, others only where more than half of their characters could stay.
struct nearest_names {
  std::string_view wanted;
  std::array<short_text, 3> names{};
  std::array<std::size_t, 3> distances{};
  std::size_t count = 0;

  constexpr void offer(short_text const& candidate) {
    std::size_t const longest = std::max(candidate.size(), wanted.size());
    std::size_t const enough = count < names.size() ? longest + 1 : distances[count - 1];
    std::size_t const distance = edit_distance(wanted, candidate.view(), enough);
    if (distance >= enough) return;
    for (std::size_t i = 0; i < count; ++i)
      if (names[i].view() == candidate.view()) return;
    std::size_t at = count < names.size() ? count++ : count - 1;
    for (; at > 0 && distances[at - 1] > distance; --at) {
      names[at] = names[at - 1];
      distances[at] = distances[at - 1];
    }
    names[at] = candidate;
    distances[at] = distance;
  }

  /// Of layers that differ in their number alone, is this one a candidate? The first three are, and those whose number
  /// stands in the wanted name: what is left is no nearer, and a deep model costs no more steps than a flat one.
  [[nodiscard]] constexpr bool asks_for(layer_info const& layer) const {
    if (layer.copy < names.size()) return true;
    auto const digits = layer.name.digits();
    return wanted.find(std::string_view{digits.text.data(), digits.size}) != std::string_view::npos;
  }

  [[nodiscard]] constexpr std::size_t worth_saying() const {
    std::size_t n = 0;
    while (n < count && (n == 0 || 2 * distances[n] < std::max(names[n].size(), wanted.size()))) ++n;
    return n;
  }
};

template <std::size_t N>
constexpr void offer_layers(nearest_names& near, std::array<layer_info, N> const& layers) {
  for (auto const& layer : layers) {
    if (!near.asks_for(layer)) continue;
    short_text full;
    full.add(layer.name);
    near.offer(full);
  }
}

/// Sections and repeats: what stands before a dot, and the paths that numbered layers share.
template <std::size_t N>
constexpr void offer_sections(nearest_names& near, std::array<layer_info, N> const& layers) {
  for (auto const& layer : layers) {
    if (layer.copy > 0) continue;
    std::string_view const path = layer.name.path;
    for (std::size_t end = 1; end <= path.size(); ++end) {
      if (end < path.size() ? path[end] != '.' : layer.name.index < 0) continue;
      short_text section;
      section.add(path.substr(0, end));
      near.offer(section);
    }
  }
}

/// Full names of the parameters that have values of their own.
template <class Model, std::size_t N>
constexpr void offer_parameters(nearest_names& near, std::array<layer_info, N> const& layers) {
  each_parameter<Model>(layers, [&](std::size_t r, std::size_t, parameter_info const& p) {
    if (!p.tied_to.empty() || !near.asks_for(layers[r])) return;
    short_text full;
    full.add(layers[r].name);
    full.add(".");
    full.add(p.label);
    near.offer(full);
  });
}

/// The nearest names as a fact. Source::near() gives them.
template <class Source>
struct nearest_to {
  static constexpr nearest_names near = Source::near();
  template <std::size_t I>
  struct one {
    static constexpr short_text text() { return near.names[I]; }
  };
  template <std::size_t... I>
  static nearest<typename named<one<I>>::type...> as_types(std::index_sequence<I...>);
  using type = decltype(as_types(std::make_index_sequence<near.worth_saying()>{}));
};

template <class Model, class Recipe, std::size_t Row>
struct layer_text {
  static constexpr short_text text() {
    short_text out;
    if constexpr (Row < layers_v<Model, Recipe>.size()) out.add(layers_v<Model, Recipe>[Row].name);
    return out;
  }
};
template <class Model, class Recipe, std::size_t Row>
using layer_named_t = layer_named<typename named<layer_text<Model, Recipe, Row>>::type>;

}  // namespace detail

}  // namespace mpx
