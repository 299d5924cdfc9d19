/// @file
/// Pairs of texts, read from a file of lines `source<TAB>target`.
#pragma once

#include <cstddef>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <mpx/core/error.hpp>
#include <mpx/io/utf8.hpp>

namespace mpx {

/// A text and what it shall become.
struct text_pair {
  std::string source;
  std::string target;

  friend bool operator==(text_pair const&, text_pair const&) = default;
};

namespace detail {

/// One line without its end; `where` names it in errors.
[[nodiscard]] inline text_pair parse_pair(std::string_view line, std::string const& where) {
  constexpr char const* form = "source<TAB>target";
  auto const refuse = [&where](char const* what, std::string expected, std::string got) {
    throw error{{.what = what, .where = where, .expected = std::move(expected), .got = std::move(got)}};
  };
  if (std::size_t const fault = utf8_fault(line); fault != std::string_view::npos) {
    constexpr char const* digits = "0123456789abcdef";
    auto const byte = static_cast<unsigned char>(line[fault]);
    refuse("line is not UTF-8", "UTF-8",
           std::string("byte 0x") + digits[byte >> 4] + digits[byte & 15] + " at byte " + std::to_string(fault + 1));
  }
  std::size_t const tab = line.find('\t');
  if (tab == std::string_view::npos) refuse("line without a tab", form, "\"" + std::string(line) + "\"");
  if (line.find('\t', tab + 1) != std::string_view::npos)
    refuse("line with a second tab", form, "\"" + std::string(line) + "\"");
  text_pair pair{std::string(line.substr(0, tab)), std::string(line.substr(tab + 1))};
  // A target of spaces alone has no word.
  if (pair.source.empty() || pair.target.find_first_not_of(' ') == std::string::npos)
    refuse("line with an empty side", form, pair.source.empty() ? "no source" : "no target");
  return pair;
}

}  // namespace detail

/// All lines of a file; line ends are LF or CR LF.
/// Errors  throws mpx::error naming file and line when the file cannot be read or is empty, and when a line is not
///         UTF-8, has no tab or two, or has an empty side
[[nodiscard]] inline std::vector<text_pair> read_pairs(std::string const& path) {
  std::ifstream file(path, std::ios::binary);
  // A directory can be opened, but its first byte cannot be read; an empty file is at its end at once.
  file.peek();
  if (file.bad() || !(file || file.eof()))
    throw error{{.what = "cannot read file", .where = path, .expected = "a readable file of pairs", .got = "none"}};
  std::vector<text_pair> pairs;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    pairs.push_back(detail::parse_pair(line, path + ", line " + std::to_string(pairs.size() + 1)));
  }
  if (file.bad())
    throw error{{.what = "cannot read file",
                 .where = path + ", line " + std::to_string(pairs.size() + 1),
                 .expected = "a readable file of pairs",
                 .got = "a failure of the disk"}};
  if (pairs.empty())
    throw error{{.what = "file is empty", .where = path, .expected = "lines source<TAB>target", .got = "no line"}};
  return pairs;
}

}  // namespace mpx
