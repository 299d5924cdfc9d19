/// @file
/// What is thrown when a value, not a type, is wrong.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace mpx {

/// What happened, where, what was expected and what was found. Thrown before anything was changed.
struct error : std::runtime_error {
  struct report {
    std::string what;      ///< "token id out of range"
    std::string where;     ///< "batch, sample 3, feed source, position 1"
    std::string expected;  ///< "0 to 10"
    std::string got;       ///< "11"
  };

  explicit error(report said) : std::runtime_error(sentence(said)), details(std::move(said)) {}

  report details;

 private:
  static std::string sentence(report const& said) {
    std::string text = said.what;
    if (!said.where.empty()) text += " (" + said.where + ")";
    if (!said.expected.empty()) text += ": expected " + said.expected;
    if (!said.got.empty()) text += (said.expected.empty() ? ": got " : ", got ") + said.got;
    return text;
  }
};

/// Another device has failed; whoever waits for it stops too.
struct aborted : std::runtime_error {
  explicit aborted(std::string const& who) : std::runtime_error(who + ": aborted, another device has failed") {}
};

}  // namespace mpx
