/// @file
/// A string literal as a template argument.
#pragma once

#include <cstddef>
#include <string_view>

namespace mpx {

/// Text of fixed length, usable as a template argument.
template <std::size_t Size>
struct fixed_string {
  char text[Size]{};

  consteval fixed_string() = default;
  consteval fixed_string(char const (&literal)[Size]) {
    for (std::size_t i = 0; i < Size; ++i) text[i] = literal[i];
  }

  [[nodiscard]] constexpr std::string_view view() const { return {text, Size - 1}; }
};

/// A name that travels as a plain type. Strings sit in class templates only: nvcc's front end loses string arguments
/// of alias templates and of partial specialisations.
template <fixed_string Text>
struct name {
  static constexpr auto text = Text;
  static constexpr std::string_view view() { return text.view(); }
};

namespace detail {

template <std::size_t Left, std::size_t Right>
consteval auto dotted(fixed_string<Left> const& left, fixed_string<Right> const& right) {
  if constexpr (Left == 1) {
    return right;
  } else if constexpr (Right == 1) {
    return left;
  } else {
    fixed_string<Left + Right> joined;
    for (std::size_t i = 0; i + 1 < Left; ++i) joined.text[i] = left.text[i];
    joined.text[Left - 1] = '.';
    for (std::size_t i = 0; i < Right; ++i) joined.text[Left + i] = right.text[i];
    return joined;
  }
}

}  // namespace detail

/// "a" and "b" give "a.b"; an empty name gives the other one.
template <class Left, class Right>
struct joined_name {
  using type = name<detail::dotted(Left::text, Right::text)>;
};

/// FNV-1a: a name as a number that is the same in every build.
[[nodiscard]] constexpr unsigned long long name_hash(std::string_view text,
                                                     unsigned long long hash = 14695981039346656037ull) {
  for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  return hash;
}

}  // namespace mpx
