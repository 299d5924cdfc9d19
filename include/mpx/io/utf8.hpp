/// @file
/// UTF-8: where it is broken, and where its characters begin.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace mpx {

namespace detail {

/// Bytes of the well-formed character at the front of `text`, which is not empty; 0 where there is none.
/// Source  The Unicode Standard 15, table 3-7 (no overlong forms, no surrogates, nothing above U+10FFFF)
[[nodiscard]] constexpr std::size_t utf8_length(std::string_view text) {
  auto const byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  unsigned const lead = byte(0);
  if (lead < 0x80) return 1;
  std::size_t const length = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  if (length == 0 || text.size() < length) return 0;
  unsigned const lowest = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  unsigned const highest = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  if (byte(1) < lowest || byte(1) > highest) return 0;
  for (std::size_t i = 2; i < length; ++i)
    if (byte(i) < 0x80 || byte(i) > 0xbf) return 0;
  return length;
}

}  // namespace detail

/// Position of the first byte that begins no well-formed character; std::string_view::npos when all is well.
/// Units   bytes from the front of `text`
[[nodiscard]] constexpr std::size_t utf8_fault(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    std::size_t const length = detail::utf8_length(text.substr(at));
    if (length == 0) return at;
    at += length;
  }
  return std::string_view::npos;
}

/// The characters (code points) of `text` in order. Each byte that belongs to none stands alone.
[[nodiscard]] inline std::vector<std::string_view> utf8_characters(std::string_view text) {
  std::vector<std::string_view> found;
  while (!text.empty()) {
    std::size_t const length = detail::utf8_length(text);
    found.push_back(text.substr(0, length == 0 ? 1 : length));
    text.remove_prefix(found.back().size());
  }
  return found;
}

}  // namespace mpx
