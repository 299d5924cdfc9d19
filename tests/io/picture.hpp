/// @file
/// What tests ask of an SVG picture.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mpx_test {

[[nodiscard]] inline std::size_t count(std::string_view text, std::string_view part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + part.size())) ++found;
  return found;
}

/// Every element that is opened is closed, in order, and nothing stands outside the first one.
[[nodiscard]] inline bool well_formed(std::string_view text) {
  std::vector<std::string_view> open;
  bool begun = false;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] != '<') {
      if (open.empty() && text[at] != '\n') return false;
      ++at;
      continue;
    }
    std::size_t const end = text.find('>', at);
    if (end == text.npos || (begun && open.empty())) return false;
    std::string_view const tag = text.substr(at + 1, end - at - 1);
    std::string_view const name = tag.substr(0, tag.find_first_of(" /", 1));
    if (count(tag, "\"") % 2 != 0) return false;
    begun = true;
    if (tag.starts_with('/')) {
      if (open.empty() || open.back() != tag.substr(1)) return false;
      open.pop_back();
    } else if (!tag.ends_with('/')) {
      open.push_back(name);
    }
    at = end + 1;
  }
  return begun && open.empty();
}

}  // namespace mpx_test
